"""Configuration of Step 3: the presets as YAML files, and the schema they are checked against."""
