# docker buildx bake -f infra/ship/docker/bake.hcl: every image for amd64 and arm64. With --push, to REGISTRY.
variable "REGISTRY" { default = "countersign" }
variable "VERSION" { default = "0.1.0" }
variable "REVISION" { default = "unknown" }

group "default" { targets = ["image"] }

target "image" {
  name       = process
  matrix     = { process = ["gateway", "auth-service", "users-service", "complaint-service", "web"] }
  context    = "."
  dockerfile = "infra/ship/docker/Dockerfile"
  target     = process
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${REGISTRY}/${process}:${VERSION}"]
  args       = { VERSION = VERSION, REVISION = REVISION }
}
