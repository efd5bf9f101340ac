"""What puts the steps in order: the only package that runs both Pulumi and Ansible."""
