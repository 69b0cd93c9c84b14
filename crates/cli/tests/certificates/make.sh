#!/bin/sh
# Makes the certificates of this directory anew: sh make.sh. The keys of the authorities are thrown away.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

key() { openssl ecparam -genkey -name prime256v1 -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }
key server.key
key "$scratch/ca.key"
key "$scratch/older.key"
key "$scratch/narrow.key"
: > "$scratch/index"
echo 01 > "$scratch/serial"
cat > "$scratch/ca.cnf" << END
[ca]
default_ca = made
[made]
database = $scratch/index
serial = $scratch/serial
new_certs_dir = $scratch
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
END
openssl req -new -key server.key -subj /CN=localhost -out "$scratch/server.csr"
openssl req -new -key "$scratch/ca.key" -subj /CN=authority -out "$scratch/ca.csr"
openssl req -new -key "$scratch/older.key" -subj /CN=authority -out "$scratch/older.csr"
openssl req -new -key "$scratch/narrow.key" -subj /CN=narrow -out "$scratch/narrow.csr"

# make REQUEST KEY NAME EXTENSIONS OPTIONS...: signs a request; valid for a century, unless the options say something else.
make() {
    request=$1 key=$2 name=$3
    printf '[e]\n%b' "$4" > "$scratch/extensions"
    shift 4
    openssl ca -batch -notext -config "$scratch/ca.cnf" -keyfile "$key" -in "$scratch/$request.csr" -out "$name" \
        -extensions e -extfile "$scratch/extensions" -startdate 20200101000000Z -enddate 21200101000000Z "$@" 2> "$scratch/log"
}
authority='basicConstraints = critical, CA:TRUE\n'
here='subjectAltName = DNS:localhost, IP:127.0.0.1\n'
make ca "$scratch/ca.key" ca.pem "$authority" -selfsign
make older "$scratch/older.key" older-ca.pem "$authority" -selfsign
# It may sign for one domain only, and signs for another.
make narrow "$scratch/narrow.key" narrow-ca.pem "${authority}nameConstraints = critical, permitted;DNS:example.org\n" -selfsign
make server "$scratch/narrow.key" not-in-domain.pem "$here" -cert narrow-ca.pem
make server server.key authority.pem "$authority$here" -selfsign
sign() {
    name=$1 extensions=$2
    shift 2
    make server "$scratch/ca.key" "$name.pem" "$extensions" -cert ca.pem "$@"
}
sign good "$here"
sign expired "$here" -startdate 20200101000000Z -enddate 20210101000000Z
sign not-yet "$here" -startdate 21190101000000Z -enddate 21200101000000Z
sign other-name 'subjectAltName = DNS:example.org\n'
sign for-clients "${here}extendedKeyUsage = clientAuth\n"
sign condition "${here}1.2.3.4 = critical, ASN1:UTF8String:x\n"
sign sha1 "$here" -md sha1
sign damaged 'subjectAltName = DER:30:7f\n'
openssl x509 -req -in "$scratch/server.csr" -CA ca.pem -CAkey "$scratch/ca.key" -CAserial "$scratch/serial" -days 36500 \
    -out version-1.pem 2> "$scratch/log"
