#!/bin/sh
# Runs inside the tree (chroot), after the packages and the overlay files are in.
set -eu

update-ca-certificates

useradd --create-home --shell /bin/bash --password '*' skerry
passwd --lock root
install -d -m 0700 -o skerry -g skerry /home/skerry/.ssh
install -m 0600 -o skerry -g skerry /dev/null /home/skerry/.ssh/authorized_keys
chmod 0440 /etc/sudoers.d/skerry
visudo --check --quiet

# Two machines with one key or one id could pose as each other: both are made at first boot.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
ln -s /etc/machine-id /var/lib/dbus/machine-id

echo 'LANG=C.UTF-8' >/etc/default/locale
