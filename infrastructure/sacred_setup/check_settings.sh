#!/bin/sh
# Refuses settings that would open the database to others, before anything starts.
set -eu

example=change-me

fail() {
    echo "error: $1" >&2
    exit 1
}

check() {
    case "$2" in
        *[!A-Za-z0-9._~-]*)
            fail "$1 may hold letters, digits and . _ ~ - only, as it becomes part of an address" ;;
    esac
    case "$BIND_ADDRESS" in
        127.* | ::1) return ;;
    esac
    if [ "$2" = "$example" ]; then
        fail "BIND_ADDRESS is $BIND_ADDRESS, beyond this machine, and $1 is still that of the \
example: choose a password in .env"
    fi
}

check MONGO_INITDB_ROOT_USERNAME "$MONGO_INITDB_ROOT_USERNAME"
check MONGO_INITDB_ROOT_PASSWORD "$MONGO_INITDB_ROOT_PASSWORD"
check MONGO_EXPRESS_PASSWORD "$MONGO_EXPRESS_PASSWORD"
