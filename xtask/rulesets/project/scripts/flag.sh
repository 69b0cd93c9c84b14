grep -q '"on"' flag.json
