#!/usr/bin/env bash
# Makes the Swift code of the control API from Sources/ControlAPI/control.proto. It is committed: to make it with each
# build would take minutes. Needs protoc: apt-get install protobuf-compiler.
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

cd Sources/ControlAPI
protoc --plugin="$messages" --plugin=protoc-gen-grpc-swift-2="$services" \
    --swift_opt=Visibility=Public --swift_out=. \
    --grpc-swift-2_opt=Visibility=Public --grpc-swift-2_out=. control.proto
echo "wrote Sources/ControlAPI/control.pb.swift and control.grpc.swift"
