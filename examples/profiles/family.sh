#!/bin/sh
# Three people who do not exist, for a box to try: sh examples/profiles/family.sh
# public: may be written into what leaves. personal (the default): used on the box alone. sensitive: keeps the request here.
set -eu

netgpt profile add ada "is vegetarian" --kind diet --label public
netgpt profile add ada "prefers cheap places" --kind budget --label public
netgpt profile add ada "plays the cello in the town's orchestra" --kind music
netgpt profile add ada "lives at 12 Tannery Lane, Portwick" --kind home

netgpt profile add ben "is allergic to peanuts" --kind allergy
netgpt profile add ben "drives an electric car with a range of 300 km" --kind car --label public
netgpt profile add ben "works night shifts at the harbour on Mondays and Tuesdays" --kind work

netgpt profile add cleo "loves fish" --kind cuisine --label public
netgpt profile add cleo "uses a wheelchair" --kind mobility
netgpt profile add cleo "has two children, aged 4 and 7" --kind family
netgpt profile add cleo "is being treated for depression" --kind health --label sensitive
