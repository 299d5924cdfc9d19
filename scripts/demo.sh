#!/usr/bin/env bash
# Trains a Transformer that writes numbers in words, on two host devices, and asks it. From a fresh Debian 12:
#   bash scripts/demo.sh                 asks for 407, 999 and 58
#   bash scripts/demo.sh --ask 12        passes its arguments to the program
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
install_packages
configure default
build default numbers_to_words
if [ $# -eq 0 ]; then set -- --ask 407 --ask 999 --ask 58; fi
exec build/examples/numbers_to_words "$@"
