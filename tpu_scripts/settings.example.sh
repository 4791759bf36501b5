# shellcheck shell=bash disable=SC2034
# What every script in this folder works on. Copy it to settings.sh, which git ignores, and fill it in; keep one file
# for each machine that you rent, and name it with --settings=FILE.

# tpu: a Cloud TPU slice of one or more workers. gpu: one Compute Engine machine with GPUs.
MACHINE=tpu
# The Cloud project's ID, the zone in which it has quota, and a name of your choice for the machine.
PROJECT=
ZONE=
NAME=llmrec
# The one that the machine acts as: it must be able to read and write the bucket.
SERVICE_ACCOUNT=
# A bucket's name, without gs://. setup.sh mounts it at /mnt/bucket of every worker, where a run of many workers keeps
# its workdir. Left empty, nothing is mounted.
BUCKET=
# The virtual network; both are called so in a new project.
NETWORK=default
SUBNETWORK=default

# on-demand: yours until you delete it, if there is one now.  spot: cheaper, may be taken away at any minute.
# queued: waits in line for an on-demand TPU.  queued-spot: waits in line for a spot TPU. (The queue is for TPUs.)
PROVISIONING=queued-spot

# MACHINE=tpu: the kind of slice (v4-32, v5litepod-16, v5p-32, v6e-16 …), and its system image. Left empty, the image
# is the one that Google names for JAX on that kind.
ACCELERATOR_TYPE=
RUNTIME_VERSION=

# MACHINE=gpu: kind of machine (a2-highgpu-1g, a3-highgpu-8g …), image with an NVIDIA driver for CUDA 13 (580 or newer):
# gcloud compute images list --project=ubuntu-os-accelerator-images --no-standard-images
MACHINE_TYPE=
IMAGE_FAMILY=
IMAGE_PROJECT=ubuntu-os-accelerator-images
