-- Which versions the breaker goes back to from the one that went live, as a JSON list of digests, the last one first.
ALTER TABLE plugin_events ADD COLUMN fallbacks {{text}};
