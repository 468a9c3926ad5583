"""Words that the invented sentences are made of: common names of many origins, employers, jobs, diagnoses, streets."""

from __future__ import annotations

from typing import Final


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, each once."""
    return tuple(dict.fromkeys(text.split()))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


FIRST: Final = words_of(
    """
    James Mary John Patricia Robert Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph
    Jessica Thomas Sarah Charles Karen Daniel Lisa Matthew Nancy Anthony Betty Mark Sandra Steven Ashley Paul Emily
    Andrew Donna Joshua Michelle Kevin Carol Brian Amanda George Melissa Edward Deborah Ronald Stephanie Timothy
    Rebecca Jason Laura Ryan Helen Jacob Cynthia Gary Amy Nicholas Angela Eric Anna Jonathan Ruth Stephen Brenda
    Larry Pamela Justin Nicole Scott Katherine Brandon Samantha Benjamin Christine Samuel Emma Gregory Catherine
    Frank Virginia Alexander Rachel Patrick Carolyn Jack Janet Dennis Maria Jerry Heather Tyler Diane Aaron Julie
    Henry Joyce Peter Victoria Adam Kelly Zachary Christina Nathan Joan Walter Evelyn Kyle Lauren Harold Judith Carl
    Olivia Arthur Frances Roger Martha Keith Cheryl Jeremy Megan Lawrence Andrea Sean Hannah Christian Jacqueline
    Ethan Ann Austin Jean Joe Alice Albert Kathryn Jesse Gloria Willie Teresa Billy Doris Bryan Sara Bruce Janice
    Noah Julia Jordan Marie Dylan Madison Ralph Grace Roy Judy Alan Abigail Wayne Theresa Eugene Beverly Juan Denise
    Gabriel Marilyn Louis Amber Russell Danielle Randy Rose Vincent Brittany Philip Diana Logan Natalie Bobby Sophia
    Harry Alexis Johnny Lori Oliver Poppy Liam Isla Ava Mia Freya Alfie Archie Nigel Graham Fiona Gareth Rhys
    Siobhan Aoife Niamh Ciaran Eoin Declan Callum Hamish Ewan Morag Hans Klaus Jürgen Wolfgang Uwe Stefan Andreas
    Matthias Torsten Sabine Petra Monika Ursula Heike Anja Katrin Birgit Lukas Leon Finn Jonas Lena Mia Leonie
    Johanna Greta Friedrich Heinrich Ingrid Annika Sven Björn Lars Nils Astrid Sigrid Freja Mette Søren Jens Henrik
    Mikkel Kirsten Tuomas Antti Jukka Mika Päivi Sari Aino Eero Veikko Olafur Gudrun Pierre Jean Michel Philippe
    Alain Jacques Nathalie Isabelle Sylvie Céline Aurélie Camille Chloé Manon Mathieu Guillaume Benoît Thierry
    Olivier Sébastien Élodie Amélie Margaux Lucie Giuseppe Giovanni Antonio Mario Luigi Francesca Chiara Alessandro
    Matteo Lorenzo Giulia Martina Elena Federica Paolo Marco Luca Davide Simone Alessia Valentina José Carlos
    Francisco Manuel Luis Javier Miguel Alejandro Pablo Sergio Diego Carmen Pilar Dolores Lucía Paula Sofía Marta
    Elena Isabel Rocío Mercedes Ximena Guadalupe Esteban Rodrigo Andrés Camila Valeria Joaquín Santiago Mateo João
    Pedro Rui Tiago Gonçalo Inês Beatriz Catarina Mariana Thiago Rafael Gustavo Larissa Fernanda Luiza Wagner Piotr
    Krzysztof Andrzej Tomasz Paweł Marcin Agnieszka Małgorzata Katarzyna Magdalena Joanna Ewa Zofia Jakub Václav
    Jiří Petr Zdeněk Hana Lenka Kateřina Tereza Jana Marek László István Zoltán Gábor Ferenc Katalin Ildikó Zsófia
    Eszter Réka Ion Mihai Andrei Ioana Elena Cristina Bogdan Radu Dragan Zoran Goran Milan Nikola Jelena Milica
    Ivana Ana Luka Marko Ivan Dmitry Sergei Alexei Vladimir Nikolai Mikhail Andrey Yuri Igor Oleg Natalia Olga
    Tatiana Svetlana Irina Ekaterina Anastasia Ksenia Oksana Taras Bohdan Mykola Olena Iryna Halyna Yulia Nikos
    Giorgos Dimitris Yannis Eleni Katerina Despina Mehmet Mustafa Ahmet Ali Hüseyin Fatma Ayşe Emine Zeynep Elif
    Emre Burak Can Deniz Merve Cem Muhammad Ahmed Omar Khalid Hassan Hussein Ibrahim Yusuf Abdullah Fatima Aisha
    Maryam Layla Noor Zainab Hana Rania Amira Karim Tariq Samir Nadia Salma Youssef Bilal Hamza Imran Farhan Asad
    Usman Sana Hira Zahra Reza Mehdi Parisa Shirin Ali Narges Rajesh Suresh Ramesh Amit Rahul Sanjay Vijay Anil
    Sunil Deepak Priya Anita Sunita Kavita Pooja Neha Divya Lakshmi Arjun Rohan Aditya Vikram Karthik Arun Meera
    Ananya Isha Shreya Gaurav Manish Nitin Harpreet Gurpreet Simran Jaspreet Tariqul Nusrat Rashid Mahmuda Chaminda
    Nimal Dilani Wei Ming Li Jun Fang Xiu Hui Jing Lei Yan Ying Hong Jian Feng Hao Yu Xin Mei Ling Qiang Na Tao Bo
    Zihan Yichen Ruoxi Hiroshi Takashi Kenji Yuki Haruka Sakura Yuto Akira Naoko Keiko Satoshi Takumi Emi Ayumi Ren
    Minjun Seoyeon Jiwoo Jihye Sunghoon Hyun Eunji Donghyun Nguyen Minh Anh Tuan Linh Huong Thao Duc Quang Trang
    Somchai Siriporn Nattapong Kanya Budi Siti Agus Dewi Putri Rizky Wayan Andi Ayu Jose Maricel Rommel Jhun Rowena
    Chukwu Ngozi Emeka Chioma Oluwaseun Folake Adebayo Temitope Ifeoma Kwame Ama Kofi Akosua Abena Yaw Wanjiku Kamau
    Njeri Otieno Achieng Mwangi Tendai Thandiwe Sipho Nomsa Lerato Thabo Zanele Abebe Tigist Dawit Selam Fatou
    Mamadou Aminata Ousmane Awa Amadou David Moshe Yael Noa Avi Shira Tamar Eitan Rivka Levi Ari Talia Ezra Max Sam
    Alex Ben Tom Tim Jim Bob Bill Dan Dave Mike Nick Chris Pete Rob Matt Steve Jen Jenny Kate Katie Liz Beth Sue Meg
    Maggie Becky Mandy Tina Gina Tony Ricky Danny Jimmy Tommy Sally Molly Holly Lily Ivy Ruby Daisy Jade Pearl Hope
    Faith Joy Dawn Summer Autumn April June August Will Grant Chase Miles Drew Reed Dean Norm Gene Ray Don Guy Art
    Rich Quinn Riley Casey Jamie Taylor Morgan Avery Rowan Skyler Sage Kendrick Jamal Darnell Latoya Keisha Tyrone
    Shanice DeShawn Malik Aaliyah Xavier Trevon Jada Imani
    """
)

LAST: Final = words_of(
    """
    Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson
    Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson
    Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell
    Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris
    Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward
    Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders Patel
    Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman Butler Henderson Barnes Fisher
    Vasquez Simmons Graham Murray Ford Hamilton Wallace West Cole Hayes Gibson Bryant Ellis Stevens Ferguson Hunter
    Mason Holloway Whitfield Ashworth Barlow Fairbanks Holt Kirby Lockwood Marsh Norris Pritchard Radcliffe
    Sheffield Thornton Underwood Wainwright Yates O'Brien O'Connor O'Sullivan O'Neill McCarthy McDonald MacLeod
    McKenzie Fitzgerald Gallagher Doherty Byrne Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz
    Hoffmann Keller Richter Klein Wolf Schröder Neumann Schwarz Braun Zimmermann Krüger Hartmann Lange Vogt Lehmann
    Köhler Maier Huber Gruber Steiner Berger Zürcher Ammann de Vries Jansen van-den-Berg Bakker Visser Janssens
    Peeters Maes Claes Johansson Andersson Karlsson Nilsson Eriksson Lindberg Bergström Lundqvist Hansen Olsen
    Larsen Andersen Pedersen Nielsen Christensen Østergaard Korhonen Virtanen Mäkinen Nieminen Laine Jónsdóttir
    Gunnarsson Dubois Durand Moreau Laurent Lefebvre Leroy Roux Girard Bonnet Fontaine Rousseau Mercier Lambert
    Chevalier Gauthier Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Conti Lombardi Moretti
    Barbieri Fontana Fernández Álvarez Romero Navarro Domínguez Gil Serrano Molina Ortega Delgado Castro Vargas
    Herrera Medina Aguilar Guerrero Rojas Silva Santos Oliveira Souza Pereira Costa Ferreira Almeida Carvalho
    Ribeiro Rocha Nowak Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański Novák Svoboda Dvořák
    Černý Procházka Horváth Nagy Kovács Tóth Szabó Varga Kiss Molnár Popescu Ionescu Dumitrescu Petrović Jovanović
    Nikolić Marković Horvat Kovačević Babić Ivanov Petrov Smirnov Kuznetsov Popov Sokolov Volkov Morozov Pavlova
    Ivanova Orlova Shevchenko Kovalenko Bondarenko Tkachenko Melnyk Papadopoulos Georgiou Nikolaidis Yılmaz Demir
    Kaya Çelik Şahin Öztürk Aydın Khan Ahmed Ali Hussain Malik Sheikh Qureshi Siddiqui Chaudhry Al-Farsi Al-Sayed
    Haddad Khoury Mansour Nasser Saleh Hosseini Ahmadi Karimi Rahimi Sharma Verma Gupta Singh Kumar Reddy Rao Nair
    Iyer Menon Krishnamurthy Joshi Desai Mehta Shah Chatterjee Banerjee Mukherjee Das Bose Pillai Kulkarni Deshmukh
    Kaur Gill Sandhu Rahman Islam Hossain Perera Fernando Silva Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu
    Sun Ma Zhu Hu Guo He Lin Luo Zheng Liang Xie Tang Wong Chan Cheung Leung Lau Ng Tan Lim Ong Goh Sato Suzuki
    Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Yamada Sasaki Matsumoto Inoue Kimura Park
    Choi Jung Kang Cho Yoon Jang Lim Han Shin Tran Le Pham Hoang Phan Vu Vo Dang Bui Do Santoso Wijaya Susanto
    Hidayat Saputra Nugroho Dela-Cruz Bautista Villanueva Okafor Okonkwo Adeyemi Balogun Eze Obi Nwosu Adebayo
    Mensah Owusu Boateng Asante Osei Kamau Mwangi Ochieng Odhiambo Kiplagat Moyo Ndlovu Dlamini Nkosi Mokoena
    Khumalo Tesfaye Bekele Haile Diallo Traoré Diop Ndiaye Keita Cohen Levy Mizrahi Peretz Friedman Katz Goldberg
    Rosenthal Shapiro Washington Jefferson Banks Booker Freeman Gaines
    """
)

EMPLOYERS: Final = _split(
    """
    Barclays, Siemens, Nordea, Hitachi, Oxfam, Walmart, Tesco, Infosys, Accenture, Deloitte, KPMG, Ernst & Young,
    HSBC, Santander, Vodafone, Telefonica, Lufthansa, Ryanair, Boeing, Airbus, Bosch, BASF, Bayer, Novartis, Roche,
    Nestlé, Unilever, Samsung, Huawei, Tata Consultancy Services, Wipro, Reliance, Toyota, Honda, Sony, Panasonic,
    Petronas, Aramco, Emirates, Ikea, Ericsson, Nokia, Maersk, Carlsberg, Heineken, ING, Rabobank, Philips, Shell,
    BP, Chevron, Starbucks, McDonald's, Target, Costco, Home Depot, FedEx, UPS, DHL, Uber, Lyft, Airbnb, Netflix,
    Spotify, PayPal, Stripe, Shopify, Salesforce, Oracle, SAP, IBM, Intel, Cisco, Dell, HP, Pfizer, Merck,
    Red Cross, UNICEF, NHS, NASA, FBI, IRS, USCIS, WHO, Home Office, Bank of America, Wells Fargo, Chase, Citibank,
    Capital One, Allianz, AXA, Aviva
    """
)
ORG_STARTS: Final = _split(
    """
    Northgate, Kestrel, Brightwater, Silverline, Bluefield, Harlow & Finch, Greenleaf, Redstone, Summit, Pinnacle,
    Apex, Horizon, Evergreen, Lakeside, Riverside, Oakwood, Maple, Cedar, Crescent, Phoenix, Falcon, Eagle, Lotus,
    Zenith, Nova, Vertex, Quantum, Stellar, Orion, Atlas, Titan, Delta, Omega, Alpine, Coastal, Metro, Global,
    United, First, National, Premier, Royal, Heritage, Liberty, Pioneer, Frontier, Beacon, Compass, Anchor, Harbor,
    Sunrise, Golden
    """
)
ORG_ENDINGS: Final = _split(
    """
    Ltd, LLC, Inc., GmbH, AG, S.A., BV, Pty Ltd, LLP, plc, Group, Holdings, Partners, Consulting, Logistics,
    Solutions, Technologies, Systems, Software, Labs, Bank, Insurance, Capital, Foundation, Dental Practice, Clinic,
    Medical Center, Pharmacy, Builders, Construction, Motors, Foods, Bakery, Café, Restaurant, Hotel, Travel, Media,
    Studio, Studios, Design, Marketing, Energy, Electric, Robotics, Biotech, Law Firm, Accountants, Realty,
    Properties, Housing Association
    """
)
SCHOOL_FORMS: Final = _split(
    """
    University of {}, {} University, {} High School, {} Elementary School, {} College, {} Primary School,
    {} Academy, St. {} School, {} Institute of Technology, {} Community College, Universität {}, Universidad de {},
    {} Grammar School, {} General Hospital, {} Hospital, {} Medical School, {} City Council, {} Police Department,
    {} Town Hall
    """
)
JOBS: Final = _split(
    """
    nurse, senior nurse, teacher, math teacher, software engineer, data analyst, plumber, electrician, accountant,
    senior accountant, lawyer, paralegal, truck driver, taxi driver, chef, sous chef, waiter, bartender, cashier,
    store manager, project manager, product manager, HR specialist, recruiter, marketing director,
    sales representative, police officer, firefighter, paramedic, dentist, dental hygienist, pharmacist,
    physiotherapist, veterinarian, vet, civil engineer, mechanical engineer, architect, graphic designer,
    journalist, photographer, carpenter, welder, security guard, janitor, receptionist, secretary,
    executive assistant, bank clerk, financial advisor, CFO, CEO, CTO, flight attendant, pilot, farmer, gardener,
    hairdresser, personal trainer, social worker, psychologist, librarian, research assistant, PhD student, postdoc,
    professor, school principal, kindergarten teacher, midwife, surgeon
    """
)
DIAGNOSES: Final = _split(
    """
    type 2 diabetes, type 1 diabetes, breast cancer, prostate cancer, leukemia, lymphoma, HIV, hepatitis B,
    hepatitis C, multiple sclerosis, epilepsy, Parkinson's disease, Alzheimer's, dementia, depression,
    bipolar disorder, schizophrenia, anxiety disorder, panic attacks, PTSD, ADHD, autism, anorexia, bulimia,
    alcoholism, opioid addiction, Crohn's disease, ulcerative colitis, endometriosis, PCOS, infertility,
    a miscarriage, erectile dysfunction, asthma, COPD, lupus, rheumatoid arthritis, fibromyalgia, psoriasis, eczema,
    high blood pressure, heart failure, arrhythmia, a stroke, kidney failure, celiac disease, gout, sleep apnea,
    chlamydia, herpes, gonorrhea, syphilis, tuberculosis
    """
)
NATIONALITIES: Final = _split(
    """
    German, French, Italian, Spanish, Portuguese, Dutch, Belgian, Swiss, Austrian, Polish, Czech, Slovak, Hungarian,
    Romanian, Bulgarian, Greek, Turkish, Russian, Ukrainian, Swedish, Norwegian, Danish, Finnish, Icelandic, Irish,
    Scottish, Welsh, English, British, American, Canadian, Mexican, Brazilian, Argentinian, Chilean, Colombian,
    Chinese, Japanese, Korean, Vietnamese, Thai, Indian, Pakistani, Bangladeshi, Sri Lankan, Nepali, Indonesian,
    Filipino, Australian, Nigerian, Ghanaian, Kenyan, Ethiopian, Egyptian, Moroccan, Algerian, Tunisian, Iranian,
    Iraqi, Syrian, Lebanese, Israeli, Saudi, Croatian, Serbian, Slovenian, Estonian, Latvian, Lithuanian, Albanian,
    Georgian, Armenian, Catholic, Muslim, Jewish, Hindu, Buddhist, Protestant, Mormon, Sikh, Jehovah's Witness,
    Republican, Democrat
    """
)
PRODUCTS: Final = _split(
    """
    Cyclops, Helion, Larkspur, Blue Lantern, Project Falcon, Orchard 2, Silver Tide, The Glass Harbor,
    Winter Orchard, Lost in Verona, Night Ferry, Paper Moons, Kindred Engine, Skyforge, Nimbus One, Aurora X, Vela,
    Tessera, Mosaic Pro
    """
)
STREETS: Final = _split(
    """
    Mill, High, Church, Station, Park, Oak, Maple, Cedar, Elm, Pine, Walnut, Chestnut, Washington, Lincoln,
    Victoria, Queens, Kings, London, York, Bridge, Garden, Lake, Hill, River, Spring, Meadow, Orchard, Sunset,
    Highland, Franklin, Jefferson, Madison, Adams, Albert, George, Harbour, Market, Castle, Abbey, Birch, Willow,
    Rosewood, Linden, Poplar
    """
)
STREET_FORMS: Final = _split(
    """
    {} Street, {} St, {} Road, {} Rd, {} Avenue, {} Ave, {} Lane, {} Drive, {} Court, {} Way, {} Close, {} Crescent,
    {} Boulevard, {} Place, {} Terrace, {}straße, {}weg, {}gasse, Rue {}, Rue de la {}, Via {}, Calle {},
    Avenida {}, Rua {}, ul. {}, Plaza {}, {} u., {} tér, {} utca, {}laan, {}straat, {}gatan, {}vej, {}veien, {}katu
    """
)
