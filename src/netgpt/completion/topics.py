"""What requests are about, and which kinds of facts help there: written by hand, read by `shortlist.py`.

Each topic is a few requests as people type them, and the kinds of facts that help with such a request.
Topics without kinds are as important: they are what "nothing helps" looks like.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ALIASES", "KINDS", "TOPICS", "Topic"]


class Topic(NamedTuple):
    """Kinds of facts that help, and requests that they help with."""

    kinds: frozenset[str]
    examples: tuple[str, ...]


def _topic(kinds: str, examples: str) -> Topic:
    return Topic(frozenset(kinds.split()), tuple(line.strip() for line in examples.strip().splitlines()))


TOPICS = (
    _topic(
        "place time",
        """what is the weather like
        will it rain tomorrow
        do i need an umbrella today
        how cold is it outside
        is it going to snow in rome on friday
        temperature forecast for the weekend
        should i wear a coat
        chance of storms in ohio next week
        is it sunny or cloudy right now
        how windy and humid will it get at noon
        will it be warmer than yesterday in the national park""",
    ),
    _topic(
        "place cuisine diet budget allergy poi",
        """find a good restaurant nearby
        where should i eat tonight
        somewhere nice for lunch
        best pizza place around here
        i'm hungry, what is close
        recommend a place that serves sushi
        cheap places to eat in boston
        book a table for two
        reserve a restaurant for four people at seven
        make a dinner reservation at a steak house
        i want to book a bistro in texas for my family
        book a highly rated pub with outdoor seating for nine""",
    ),
    _topic(
        "place",
        """does that diner have good reviews
        is the curry house any good
        how long is the wait for a table at the grill
        is the bar crowded around eight""",
    ),
    _topic(
        "cuisine diet allergy place budget",
        """order me a pizza
        does the noodle bar deliver
        get me some takeaway
        i want chinese food delivered to my home""",
    ),
    _topic(
        "diet allergy cuisine",
        """how do i make lasagna
        recipe for chicken soup
        what can i cook for dinner
        dinner ideas
        suggest a meal
        give me an idea for a greek meal
        what ingredients go into a cheesecake
        what should i have for breakfast
        can i use oil instead of butter
        is yoghurt a good replacement for cream""",
    ),
    _topic(
        "",
        """how long do i boil eggs
        how many calories are in a bagel
        how much fat is in cheese
        how long does milk stay fresh in the fridge
        cooking time for a roast""",
    ),
    _topic(
        "place poi",
        """how do i get to the airport
        directions to the library
        where is the closest bank
        is there a pharmacy near me
        how far is the beach from here
        how long is the drive to the station
        good clothes shops around here
        where can i buy shoes in town""",
    ),
    _topic(
        "place car",
        """how is traffic on the way to work
        is there congestion on the motorway
        are there accidents on my route to the city""",
    ),
    _topic(
        "place",
        """get me a taxi to the hotel
        call a cab for three people to the theatre
        where am i
        what is my current location
        tell my friends where i am
        send my position to mark""",
    ),
    _topic(
        "place time",
        """when does the next train to leeds leave
        bus times for this evening
        book a train ticket to york
        which train gets me to manchester by ten""",
    ),
    _topic(
        "car",
        """how do i change a tyre
        what pressure should my tires have
        when is the next oil change due
        my battery is dead and the engine will not start
        which fuel does it take
        how much gas is left in the tank
        how many miles per gallon do i get
        book the car in for a service
        when was the car last at the workshop""",
    ),
    _topic(
        "place hobby",
        """what's on this weekend
        events near me
        which concerts are in town
        things to do around here
        anything happening in my area tonight""",
    ),
    _topic(
        "place poi",
        """which movies are on nearby
        showtimes for the new film
        what is playing at the cinema
        find a theatre that shows cartoons
        when does the movie start at the closest movie house""",
    ),
    _topic(
        "time place",
        """what time is it
        current time in tokyo
        tell me the time in denver
        what time zone is berlin in""",
    ),
    _topic(
        "time",
        """what day is it
        what is today's date
        how many days until christmas
        which weekday is the ninth
        what do i have on my calendar on monday
        do i have meetings this afternoon
        put a meeting with sam on my calendar tomorrow
        am i free on thursday""",
    ),
    _topic("time place", "when is the next public holiday\nwhich day off comes next"),
    _topic(
        "budget hobby family",
        """where should i go on holiday
        suggest a trip
        what is there to see in lisbon
        tourist attractions in peru
        fun things to do on vacation""",
    ),
    _topic(
        "place budget",
        """book a flight to madrid
        i need plane tickets from denver to miami next month""",
    ),
    _topic(
        "budget",
        """find a hotel in vienna
        i need a room for two nights near the convention centre
        rent a car for the weekend
        reserve a rental van from march 3rd to 5th""",
    ),
    _topic("budget family hobby", "gift ideas for a birthday\nwhat present should i buy for her"),
    _topic(
        "music",
        """play some music
        put on a song
        i want to hear jazz
        play the latest album by the band
        add this track to my playlist
        put her tune on my party list
        what should i listen to
        play my favourite songs
        turn the radio on
        tune in to the rock station""",
    ),
    _topic(
        "pet",
        """how much should i feed my dog
        find a vet for the cat
        which toys do puppies like
        can they eat chocolate""",
    ),
    _topic(
        "work",
        """how much leave do i have left
        i want to take vacation days from june to july
        was my time off approved
        when is payday
        how much do i earn
        has my salary been paid in
        where is my tax form from work""",
    ),
    _topic(
        "health allergy",
        """what can i take for a headache
        is this medicine safe for me
        which shots do i need before travelling to kenya
        i feel dizzy and tired""",
    ),
    _topic("hobby", "what should i do in my free time\nsuggest an activity for the evening"),
    _topic("hobby", "recommend a good book\nwhich film should i watch tonight\nsuggest a game"),
    _topic("family", "plan a day out with the children\nideas for a birthday party at home"),
    _topic("language", "teach me some new words\nexplain it in my own language"),
    _topic("schedule time", "when can i fit in a run\nplan my week"),
    _topic(
        "",
        """tell me a joke
        say something funny
        hello there
        good morning
        thank you very much
        bye for now
        yes please
        no i don't think so
        i am not sure
        who are you
        what is your name
        how old are you
        who built you
        do you have pets
        what are your hobbies
        where are you from
        do you like my jacket
        what can you do
        are you a human
        what is the meaning of life
        flip a coin
        roll two dice""",
    ),
    _topic(
        "",
        """how do you say thank you in french
        translate good night to spanish
        spell rhythm
        what does the word serene mean
        define gravity
        what is 12 times 8
        convert ten miles to kilometres
        how many cups in a litre
        exchange rate between dollar and yen
        tell me an interesting fact
        how tall is the eiffel tower
        who is the president of france
        when was the actress born
        what is the capital of peru
        how many people live in china
        share price of a company""",
    ),
    _topic(
        "",
        """turn off the lights in the kitchen
        make the lights blue
        dim the lamp
        switch on the socket
        start the vacuum cleaner
        make me a coffee
        volume up
        mute the speaker
        speak more slowly
        change your accent to british
        switch to german
        call me captain
        restore the factory settings
        connect to my phone
        find my phone
        call my sister
        text dave that i'm late
        say that again
        cancel that
        skip to the next song
        what song is this
        who sings this
        save this song as one i like
        whisper""",
    ),
    _topic(
        "",
        """set an alarm for six
        wake me at half past five
        delete my alarms
        set a timer for ten minutes
        remind me to lock the door
        what are my reminders
        what is on my to do list
        add milk to the shopping list
        remove eggs from the list
        create a new list
        clear the list
        cancel the meeting
        delete the event from my calendar""",
    ),
    _topic(
        "",
        """do i have new emails
        send a mail to anna about the report
        read my last message
        what is john's phone number
        post this on social media
        tweet that the service was bad
        what's new on facebook
        read me the news
        latest headlines about politics
        play the podcast
        next episode
        continue my audiobook
        play chess with me
        open the game
        rate this book five stars
        give the novel 3 out of 6
        find the tv show called winter moon
        look up the album night songs
        show me the trailer of the film
        search for the painting the old harbour""",
    ),
    _topic(
        "",
        """what is my account balance
        transfer fifty dollars to savings
        pay the electricity bill
        when is my bill due
        why was my card declined
        my card is damaged
        i lost my credit card
        report a fraud on my account
        freeze my account
        raise my credit limit
        what is my credit score
        interest rate on my account
        how many reward points do i have
        order new cheques
        show my last purchases
        how much did i spend on clothes
        change my pin
        routing number of my bank
        status of my card application
        change my insurance plan
        where is my package
        track my order
        is my flight on time
        my suitcase got lost
        what may i take in my hand luggage
        do i need a visa for india
        which plugs do they use in italy
        is it safe to travel to egypt
        tell my bank that i will be abroad
        move my retirement savings to a new plan
        has my hotel reservation been confirmed
        do they take reservations
        cancel my table reservation""",
    ),
)

KINDS = frozenset().union(*(topic.kinds for topic in TOPICS))
"""The kinds of facts that the topics know."""

ALIASES = {
    "location": "place",
    "city": "place",
    "home": "place",
    "address": "place",
    "residence": "place",
    "site": "place",
    "date": "time",
    "clock": "time",
    "food": "cuisine",
    "taste": "cuisine",
    "money": "budget",
    "price": "budget",
    "finance": "budget",
    "vehicle": "car",
    "transport": "car",
    "pets": "pet",
    "animal": "pet",
    "job": "work",
    "employer": "work",
    "profession": "work",
    "occupation": "work",
    "hobbies": "hobby",
    "interest": "hobby",
    "interests": "hobby",
    "sport": "hobby",
    "medical": "health",
    "medication": "health",
    "allergies": "allergy",
    "restaurant": "poi",
    "places": "poi",
    "calendar": "schedule",
}
"""Other words for the same kinds."""
