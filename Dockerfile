# Builds the manager and the manifest service into one image without a shell. `make
# release` builds the same image without a container engine, for two architectures;
# a test of hack/release holds both to the same facts.
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
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title=miniprogram-operator \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.source=https://github.com/miniprogram-dev/miniprogram-operator \
      org.opencontainers.image.licenses=Apache-2.0
# Sources and registries are reached over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/manager /out/manifest-service /
USER 65532:65532
ENTRYPOINT ["/manager"]
