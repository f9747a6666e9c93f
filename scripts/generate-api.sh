#!/usr/bin/env bash
# Makes the Swift code of the control API and of what is asked of etcd, from Sources/ControlAPI/control.proto and
# Sources/EtcdAPI/etcd.proto. It is committed: to make it with each build would take minutes. Needs protoc:
# apt-get install protobuf-compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v protoc >/dev/null || { echo "generate-api.sh: there is no protoc; install it: apt-get install protobuf-compiler" >&2; exit 1; }
swift package resolve >/dev/null

# build PACKAGE PRODUCT: a plugin of protoc, from the very sources that the package is built with; prints its path.
build() {
    local scratch=$PWD/.build/protoc/$1
    swift build --package-path ".build/checkouts/$1" --scratch-path "$scratch" --product "$2" >&2
    echo "$(swift build --package-path ".build/checkouts/$1" --scratch-path "$scratch" --show-bin-path)/$2"
}
messages=$(build swift-protobuf protoc-gen-swift)
services=$(build grpc-swift-protobuf protoc-gen-grpc-swift-2)

# generate FOLDER NAME
generate() {
    protoc --plugin="$messages" --plugin=protoc-gen-grpc-swift-2="$services" --proto_path="$1" \
        --swift_opt=Visibility=Public --swift_out="$1" \
        --grpc-swift-2_opt=Visibility=Public --grpc-swift-2_out="$1" "$1/$2.proto"
    echo "wrote $1/$2.pb.swift and $2.grpc.swift"
}
generate Sources/ControlAPI control
generate Sources/EtcdAPI etcd
