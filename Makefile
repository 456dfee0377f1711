# Sync-Person-Cloud: `make` prints what there is to make.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python

# A variable that is set becomes an option: $(call option,--seed,SEED)
option = $(if $($(2)),$(1) "$($(2))")
# One that only says yes: $(call flag,--deep,DEEP)
flag = $(if $(filter-out 0,$($(2))),$(1))

.PHONY: help
help: ## this list
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile
	@echo "Variables, as in \`make sync DATASET=prcc DATA_ROOT=folder\`:"
	@awk -F '#: ' '/^#: / {print "  " $$2}' Makefile
#: DATASET           walkers (built in), prcc, ltcc, ..., folder (any photos); by default the one last synced, else walkers
#: DATA_ROOT         folder the data set was unpacked in; by default work/datasets/<DATASET>
#: RUN               name of a training run; by default the last one, or a name made from its settings
#: RUNS              names of runs to compare, as in a,b,c; the others are held against the first
#: PRESET            settings to train with: paper, walkers or people; by default the data set's own, else paper
#: METHOD            supervised method: lomo-kissme, lomo-xqda, twin, pcb, mgn, rga-sc, sgps, cesd, fsam or cal; by default twin
#: CONFIG            config.json of a run, to train with the same settings again
#: S                 redrawn versions of each photo; by default 4
#: TEMPLATES         folder of people in the clothes to redraw in; by default chosen from the photos themselves
#: WEIGHTS           checkpoint of the PISE generator, without which photos are recoloured; for walkers one is built in
#: BACKBONE_WEIGHTS  what the encoder starts from: imagenet, none, or a file
#: QUERY             photo to search for, or folder of such photos
#: GALLERY           folder of photos to search in, nested as they come
#: TOP               photos to give for a query; by default 10
#: FORMAT            of an exported encoder: onnx, torchscript or safetensors; by default onnx
#: DEVICE            cpu, cuda or cuda:N; by default a GPU if there is one
#: GPUS              processes of one training, one for each GPU (or on a CPU, for a trial)
#: JOBS              processes that redraw, render, or train a table's rows; by default as many as fit the machine
#: CLUSTER           Dask scheduler whose workers redraw or train a table's rows: its address (tcp://host:8786) or file
#: DEEP              1: make sync reads photos and shards that are there anew, even if nothing wrote to them
#: DRY_RUN           1: make sync only says what it would make, in how many bytes and what time
#: RETRY_FAILED      1: make sync makes the shards again that lack photos or annotations
#: TABLE             what is compared: components, sampling, eps, versions, templates, keep-person, cameras, backgrounds, worth or 1
#: SEEDS             each row of a table is trained once with each; by default 0,1,2
#: SEED              seed of everything that is drawn at random; by default 0
#: ARGS              any other options of the command behind a target; ARGS=--help lists them
#: PYTHON            interpreter that .venv is made with; by default python3

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: Python 3.10 or later is needed: give one as PYTHON=..." >&2; exit 2; }
	@echo "setting up $(VENV) (once; the deep-learning libraries are some gigabytes)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

.PHONY: setup
setup: $(VENV)/.installed ## install into .venv; every other target does it when needed

.PHONY: demo
demo: setup ## the whole way on the built-in benchmark, in minutes: render, sync, train, eval
	@$(PY) -m data walkers
	@$(PY) -m pipeline sync --dataset walkers --keep-person
	@$(PY) -m pipeline preview --dataset walkers
	@$(PY) -m trainer train --dataset walkers --run demo
	@$(PY) -m trainer eval --run demo
	@echo "to look at: work/datasets/walkers/sheet.png (the people), the page named above (redrawn), work/runs/demo (the run)"

.PHONY: walkers
walkers: setup ## render the built-in benchmark of people who change clothes
	@$(PY) -m data walkers $(call option,--data-root,DATA_ROOT) $(call option,--seed,SEED) $(call option,--jobs,JOBS) $(ARGS)

.PHONY: photos
photos: setup ## the way of plain photos, on a few rendered ones or those in DATA_ROOT: annotate, redraw, preview
	@$(if $(DATA_ROOT),,$(PY) -m data photos $(call option,--seed,SEED))
	@$(PY) -m pipeline sync --dataset folder --data-root "$(or $(DATA_ROOT),work/datasets/photos)" \
		$(call option,--versions,S) $(call option,--templates,TEMPLATES) $(call option,--weights,WEIGHTS) \
		$(call option,--device,DEVICE) $(call option,--jobs,JOBS) $(call option,--seed,SEED) $(ARGS)
	@$(PY) -m pipeline preview --dataset folder

.PHONY: check
check: setup ## say what a data set holds, compare with the published counts, open every photo
	@$(PY) -m data check $(call option,--dataset,DATASET) $(call option,--data-root,DATA_ROOT) $(call option,--jobs,JOBS) $(ARGS)

.PHONY: sync
sync: setup ## redraw every training photo in S other outfits, once, into shards
	@$(PY) -m pipeline sync $(call option,--dataset,DATASET) $(call option,--data-root,DATA_ROOT) \
		$(call option,--versions,S) $(call option,--templates,TEMPLATES) $(call option,--weights,WEIGHTS) \
		$(call option,--device,DEVICE) $(call option,--jobs,JOBS) $(call option,--cluster,CLUSTER) \
		$(call option,--seed,SEED) $(call flag,--deep,DEEP) $(call flag,--retry-failed,RETRY_FAILED) \
		$(call flag,--dry-run,DRY_RUN) $(ARGS)

.PHONY: preview
preview: setup ## contact sheets and statistics of the shards, as pictures and one page
	@$(PY) -m pipeline preview $(call option,--dataset,DATASET) $(ARGS)

.PHONY: status
status: setup ## what became of each photo of the last sync, and why; ARGS="--output states.csv" lists all
	@$(PY) -m pipeline status $(call option,--dataset,DATASET) $(ARGS)

.PHONY: verify
verify: setup ## read every shard again and compare it with its checksums and its photos
	@$(PY) -m pipeline verify $(call option,--dataset,DATASET) $(ARGS)

.PHONY: train
train: setup ## train an encoder on the shards; again, to go on where it stopped
	@$(if $(GPUS),$(PY) -m trainer.distributed.launch --standalone --nproc-per-node $(GPUS) -m -- trainer,$(PY) -m trainer) train \
		$(call option,--dataset,DATASET) $(call option,--run,RUN) $(call option,--preset,PRESET) \
		$(call option,--config,CONFIG) $(call option,--backbone-weights,BACKBONE_WEIGHTS) $(call option,--versions,S) \
		$(call option,--device,DEVICE) $(call option,--seed,SEED) $(ARGS)

.PHONY: baseline
baseline: setup ## train a supervised METHOD on DATASET's own labels: what labels are worth
	@$(PY) -m trainer baseline $(call option,--method,METHOD) $(call option,--dataset,DATASET) \
		$(call option,--data-root,DATA_ROOT) $(call option,--run,RUN) $(call option,--preset,PRESET) \
		$(call option,--backbone-weights,BACKBONE_WEIGHTS) $(call option,--device,DEVICE) $(call option,--seed,SEED) $(ARGS)

.PHONY: oracle
oracle: setup ## train as `make train` does, told who is in each photo: what better clusters would be worth
	@$(PY) -m trainer oracle $(call option,--dataset,DATASET) $(call option,--run,RUN) $(call option,--preset,PRESET) \
		$(call option,--config,CONFIG) $(call option,--backbone-weights,BACKBONE_WEIGHTS) $(call option,--versions,S) \
		$(call option,--device,DEVICE) $(call option,--seed,SEED) $(ARGS)

.PHONY: eval
eval: setup ## rank the benchmark's galleries with a run's encoder: CMC, mAP, mINP
	@$(PY) -m trainer eval $(call option,--run,RUN) $(call option,--dataset,DATASET) \
		$(call option,--data-root,DATA_ROOT) $(call option,--device,DEVICE) $(ARGS)

.PHONY: report
report: setup ## a page on a run: figures, curves, what clusters follow, rankings to look at, a map of features
	@$(PY) -m trainer report $(call option,--run,RUN) $(call option,--dataset,DATASET) \
		$(call option,--data-root,DATA_ROOT) $(call option,--device,DEVICE) $(ARGS)

.PHONY: compare
compare: setup ## the same page on several runs, RUNS=a,b,c, with differences query by query
	@$(PY) -m trainer compare $(call option,--runs,RUNS) $(call option,--dataset,DATASET) \
		$(call option,--data-root,DATA_ROOT) $(call option,--device,DEVICE) $(ARGS)

.PHONY: search
search: setup ## the photos in GALLERY most like QUERY, as a list and a strip; ARGS=--serve: on a page to upload photos to
	@$(PY) -m trainer search $(call option,--run,RUN) $(call option,--query,QUERY) $(call option,--gallery,GALLERY) \
		$(call option,--top,TOP) $(call option,--device,DEVICE) $(ARGS)

.PHONY: features
features: setup ## features of the photos in GALLERY, with their paths, as HDF5 (or NPZ: ARGS="--output my.npz")
	@$(PY) -m trainer features $(call option,--run,RUN) $(call option,--gallery,GALLERY) \
		$(call option,--device,DEVICE) $(ARGS)

.PHONY: export
export: setup ## a run's encoder as one file for other programs, tried before it is kept
	@$(PY) -m trainer export $(call option,--run,RUN) $(call option,--format,FORMAT) $(ARGS)

.PHONY: runs
runs: setup ## all runs in a table: data set, epochs, R1, and the settings in which they differ
	@$(PY) -m trainer runs $(ARGS)

.PHONY: clean-runs
clean-runs: setup ## show the runs that are unfinished or empty; ARGS=--yes removes them
	@$(PY) -m trainer clean-runs $(ARGS)

.PHONY: pise
pise: setup ## fit a small generator: to rendered walkers, DATASET's own unlabelled photos, or exact pairs of people
	@$(PY) -m pipeline pise $(call option,--dataset,DATASET) $(call option,--data-root,DATA_ROOT) \
		$(call option,--device,DEVICE) $(call option,--seed,SEED) $(call option,--jobs,JOBS) $(ARGS)

.PHONY: parser
parser: setup ## fit the built-in parser anew, to DATA_ROOT's people with exact regions
	@$(PY) -m pipeline parser $(call option,--data-root,DATA_ROOT) $(call option,--jobs,JOBS) $(ARGS)

.PHONY: ablation
ablation: setup ## train and rank every row of a TABLE over SEEDS: mean, spread, paired differences, a picture
	@$(PY) -m trainer ablation $(call option,--table,TABLE) $(call option,--dataset,DATASET) \
		$(call option,--seeds,SEEDS) $(call option,--preset,PRESET) $(call option,--device,DEVICE) \
		$(call option,--jobs,JOBS) $(call option,--cluster,CLUSTER) $(ARGS)

# The generator's shards come last, since training takes those made or asked for last.
.PHONY: worth
worth: setup ## what redrawing is worth on walkers: the table of baseline, generator, ideal redrawing
	@$(PY) -m data walkers
	@$(PY) -m pipeline sync --dataset walkers --painter ideal
	@$(PY) -m pipeline sync --dataset walkers
	@$(PY) -m trainer ablation --table worth --dataset walkers $(call option,--seeds,SEEDS) \
		$(call option,--device,DEVICE) $(call option,--jobs,JOBS) $(call option,--cluster,CLUSTER) $(ARGS)

.PHONY: bench bench-sync bench-clustering bench-train bench-ranking bench-storage bench-scale bench-reading
bench: bench-sync bench-clustering bench-train bench-ranking ## every ratio of speed and memory
bench-sync: setup ## redrawing against the published way; plain photos end to end, and what the time goes into
	@$(PY) -m tests.bench.sync $(ARGS)
	@$(PY) -m tests.bench.photos
bench-clustering: setup ## pseudo labels against the dense way and against the bare neighbour search
	@$(PY) -m tests.bench.clustering $(ARGS)
bench-train: setup ## loader and step against plain ones, and against a generator in the loop
	@$(PY) -m tests.bench.sync --channels 16 --size 128 64 --photos 8 --output work/bench/painting.json
	@$(PY) -m tests.bench.train --generator work/bench/painting.json $(ARGS)
bench-ranking: setup ## ranking against a loop over queries
	@$(PY) -m tests.bench.ranking $(ARGS)
bench-storage: setup ## other ways of storing pictures, on those of the last store
	@$(PY) -m tests.bench.storage table $(ARGS)
bench-scale: setup ## planning, resuming, verifying and opening 10,000 and 100,000 photos
	@$(PY) -m tests.bench.scale $(ARGS)
bench-reading: setup ## training's data from a cold disk; it writes 9 GB for a while
	@$(PY) -m tests.bench.reading $(ARGS)

.PHONY: lint
lint: setup ## style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

.PHONY: test
test: setup ## every test; ARGS="-m 'not slow'" leaves the long ones out
	@$(PY) -m pytest -q $(ARGS)

.PHONY: clean
clean: ## remove .venv and caches; work/ stays
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
