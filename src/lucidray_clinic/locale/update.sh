#!/usr/bin/env bash
# Collect the texts of the site anew and compile what is translated; needs GNU gettext.
set -euo pipefail
cd "$(dirname "$0")/.."
export DJANGO_SETTINGS_MODULE=lucidray_clinic.settings
django-admin makemessages -l ar --no-location --no-wrap --no-obsolete -i "static/*"
sed -i '/^"POT-Creation-Date/d;/^"Report-Msgid/d' locale/ar/LC_MESSAGES/django.po
# What gettext only guesses is left open.
po=locale/ar/LC_MESSAGES/django.po
msgattrib --no-fuzzy --clear-previous --no-wrap -o "$po.sure" "$po"
msgattrib --only-fuzzy --clear-fuzzy --clear-previous --empty --no-wrap -o "$po.open" "$po"
msgcat --use-first --no-wrap -o "$po" "$po.sure" $([ -s "$po.open" ] && echo "$po.open")
rm -f "$po.sure" "$po.open"
msgfmt -c -o locale/ar/LC_MESSAGES/django.mo locale/ar/LC_MESSAGES/django.po
msgfmt --statistics -o /dev/null locale/ar/LC_MESSAGES/django.po
