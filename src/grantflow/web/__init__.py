"""What all pages share: the look, the renderer, security headers, cookies, form tokens, bounded forms and error pages.

How a role builds its pages::

    site = Site(name="Grantflow platform", base_url="http://127.0.0.1:9000", sandbox=True)
    pages = Pages(site, templates=(Path(__file__).parent / "templates",))
    guard = FormGuard(key=key, site=site, mint=mint)

    async def sign_in(request: Request) -> Response:
        visitor = guard.visitor(request)
        answer = pages.page(request, "sign_in.html", form_token=guard.token(visitor))
        return guard.remember(answer, visitor)

    async def signed_in(request: Request) -> Response:
        form = await read_form(request, limit_bytes=8_192)
        guard.check(request, form, binding=guard.visitor(request))
        ...
        return pages.redirect("/apps")

    app = Starlette(
        routes=[Route("/sign-in", sign_in), ..., pages.static.route()],
        exception_handlers=error_handlers(pages, new_reference=new_reference),
    )

A template of the role extends the layout and speaks in components, never in classes of its own::

    {% extends "layout.html" %}
    {% block title %}Sign in{% endblock %}
    {% block main %}
      {{ ui.error_summary(errors) }}
      {% call ui.form(url("/sign-in"), form_token) %}
        {{ ui.field("Email", "email", type="email", errors=errors, autocomplete="username") }}
        {{ ui.button("Sign in") }}
      {% endcall %}
    {% endblock %}

Always there in a template: `ui` (the components), `site`, `url(path)` (a path of this app, below the prefix it is
mounted at), `static(name)`, `icon_src(icon)` (an integration's icon, for
`ui.app_icon`), `account` (an `Account` or None), `errors` (field name to message, in the order of the
form) and `here` (the path asked for). Everything else must be passed: an unknown name is an error, never an empty
string. The components are listed at the top of `templates/components.html`. Layout blocks: `title`, `width` (one of
`narrow`, `reading`, `wide`), `head`, `nav`, `notice` (above the main part, full width), `main`, `footer`.
"""
