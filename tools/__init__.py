"""What must be on the machine before the project can run: engines, a machine image, a web image.

Everything lands in the user's cache directory, never in the checkout. The package runs before
anything else is installed, so it imports the standard library, PyYAML and rich only, and it is
deliberately not part of the distribution (`tosca`, `infra`, `flows` do not import it; they read
the manifests that it writes).
"""
