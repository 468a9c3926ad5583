#!/bin/sh
# People who do not exist, at work: a teacher, a nurse, a fitter: sh examples/profiles/staff.sh
set -eu

netgpt profile add noor "teaches mathematics to classes 7 to 9" --kind work --label public
netgpt profile add noor "wants exercises with solutions, one page at most" --kind wish --label public
netgpt profile add noor "is paid by pay grade E 11" --kind money --label sensitive

netgpt profile add tomas "is a nurse on the children's ward" --kind work --label public
netgpt profile add tomas "wants doses with their source" --kind wish --label public

netgpt profile add ines "maintains the two presses in hall 3, models PX-20 and PX-22" --kind work --label public
netgpt profile add ines "has no driving licence" --kind car
