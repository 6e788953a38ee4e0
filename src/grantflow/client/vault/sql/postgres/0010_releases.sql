-- When the brake was last released, in the order of the log.
CREATE INDEX events_of_release ON events (integration, number) WHERE kind = 'brake_released';
