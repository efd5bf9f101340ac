"""What the Pulumi engine runs. Nothing imports these."""
