"""Pages of the site that come from the code: the command line, the settings of a recipe, and links out of docs/."""
