"""One stack per site; the stack's name is the site's."""
