# Builds the manager and the manifest service into one image without a shell.
# The manager starts by default; the manifest service by `command: ["/manifest-service"]`.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
# The module files first, so that a change of the code does not download again.
COPY go.mod go.sum ./
COPY sdk/go/go.* sdk/go/
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/manager ./cmd/manifest-service

FROM scratch
# Sources and registries are reached over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/manager /out/manifest-service /
USER 65532:65532
ENTRYPOINT ["/manager"]
