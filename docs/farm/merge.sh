#!/bin/bash
#SBATCH --mem=8G
# Put the shares together and read the whole. What a lost job did not measure is measured here.
set -e
fkeras merge part* --into results
fkeras oracle tagger.h5 --data validation.npz --metric accuracy --store results --json oracle.json
