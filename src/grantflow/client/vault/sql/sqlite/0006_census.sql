-- How many grants are in which state, for whoever watches: counted in the index alone.
CREATE INDEX grants_by_status ON grants (integration, status);
