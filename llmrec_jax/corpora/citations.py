"""What the published corpora are, where they are told of, and what to cite who uses them."""

from llmrec_jax.corpora.source import About

SIMULATED_SHOP = About(
    'A shop that is drawn at random, whose next-purchase distribution is known, so that the best reachable '
    'recall is known as well. It needs no download.'
)
SEQUENCE_FILES = About(
    'Histories of items and a catalogue in the form in which S3-Rec and P5 publish their data.',
    citation="""@inproceedings{zhou2020s3rec,
  title={S3-Rec: Self-Supervised Learning for Sequential Recommendation with Mutual Information Maximization},
  author={Zhou, Kun and Wang, Hui and Zhao, Wayne Xin and Zhu, Yutao and Wang, Sirui and Zhang, Fuzheng and
    Wang, Zhongyuan and Wen, Ji-Rong},
  booktitle={Proceedings of the 29th ACM International Conference on Information and Knowledge Management},
  year={2020}
}""",
)
AMAZON_2014 = About(
    'Reviews of products on Amazon from 1996 to 2014, the 5-core of a category, with the metadata of its '
    'products.',
    'https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html',
    """@inproceedings{mcauley2015image,
  title={Image-Based Recommendations on Styles and Substitutes},
  author={McAuley, Julian and Targett, Christopher and Shi, Qinfeng and van den Hengel, Anton},
  booktitle={Proceedings of the 38th International ACM SIGIR Conference on Research and Development in
    Information Retrieval},
  year={2015}
}""",
)
AMAZON_2018 = About(
    'Reviews of products on Amazon from 1996 to 2018, the 5-core of a category, with the metadata of its '
    'products, which were taken from web pages.',
    'https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/',
    """@inproceedings{ni2019justifying,
  title={Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained Aspects},
  author={Ni, Jianmo and Li, Jiacheng and McAuley, Julian},
  booktitle={Proceedings of the 2019 Conference on Empirical Methods in Natural Language Processing},
  year={2019}
}""",
)
AMAZON_2023 = About(
    'Reviews of products on Amazon from 1996 to 2023 with times in milliseconds, the metadata of the '
    'products, and benchmark files of ratings, whole or split.',
    'https://amazon-reviews-2023.github.io/',
    """@article{hou2024bridging,
  title={Bridging Language and Items for Retrieval and Recommendation},
  author={Hou, Yupeng and Li, Jiacheng and He, Zhankui and Yan, An and Chen, Xiusi and McAuley, Julian},
  journal={arXiv preprint arXiv:2403.03952},
  year={2024}
}""",
)
MOVIELENS = About(
    'Ratings of movies by the users of MovieLens, and from 10m on the tags that they gave.',
    'https://grouplens.org/datasets/movielens/',
    """@article{harper2015movielens,
  title={The MovieLens Datasets: History and Context},
  author={Harper, F. Maxwell and Konstan, Joseph A.},
  journal={ACM Transactions on Interactive Intelligent Systems},
  volume={5},
  number={4},
  pages={19:1--19:19},
  year={2015}
}""",
)
YELP = About(
    'Reviews of places by the users of Yelp, from the Yelp Open Dataset, which Yelp gives for academic use.',
    'https://business.yelp.com/data/resources/open-dataset/',
    """@misc{yelp,
  title={Yelp Open Dataset},
  author={{Yelp Inc.}},
  url={https://business.yelp.com/data/resources/open-dataset/}
}""",
)
STEAM = About(
    'Reviews of games by the users of Steam from 2010 to 2018, with what the shop tells of the games.',
    'https://cseweb.ucsd.edu/~jmcauley/datasets.html#steam_data',
    """@inproceedings{kang2018self,
  title={Self-Attentive Sequential Recommendation},
  author={Kang, Wang-Cheng and McAuley, Julian},
  booktitle={Proceedings of the 2018 IEEE International Conference on Data Mining},
  year={2018}
}""",
)
GOODREADS = About(
    'Books that users of Goodreads put on their shelves, read, rated and reviewed until 2017, by genre.',
    'https://cseweb.ucsd.edu/~jmcauley/datasets/goodreads.html',
    """@inproceedings{wan2018item,
  title={Item Recommendation on Monotonic Behavior Chains},
  author={Wan, Mengting and McAuley, Julian},
  booktitle={Proceedings of the 12th ACM Conference on Recommender Systems},
  year={2018}
}
@inproceedings{wan2019fine,
  title={Fine-Grained Spoiler Detection from Large-Scale Review Corpora},
  author={Wan, Mengting and Misra, Rishabh and Nakashole, Ndapa and McAuley, Julian},
  booktitle={Proceedings of the 57th Conference of the Association for Computational Linguistics},
  year={2019}
}""",
)
