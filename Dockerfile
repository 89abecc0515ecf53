# LoRA-ViT Web for people who host it themselves, on the CPU:
#
#   docker build -t loravit-web --build-arg TORCH_INDEX=URL .
#   docker run -p 7860:7860 -v loravit:/data loravit-web
#
# TORCH_INDEX is the index of CPU builds that pytorch.org names; without it the far larger builds with CUDA are
# installed. Passwords and tokens belong into the environment of the container, never into the image.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.txt .
ARG TORCH_INDEX=
# such as psycopg[binary] and s3fs, for a database and a store elsewhere
ARG EXTRA_PACKAGES=
RUN if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" "torch>=2.8,<2.14" "torchvision>=0.23,<0.29"; fi \
    && pip install -r requirements.txt $EXTRA_PACKAGES

RUN useradd --create-home --uid 1000 loravit && mkdir /data && chown loravit /data
COPY app.py LICENSE README.md ./
COPY registry registry
COPY loravit_web loravit_web

ENV LORAVIT_HOME=/data GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_TEMP_DIR=/tmp/gradio
USER loravit
VOLUME /data
EXPOSE 7860
# the first start fetches the embedded base
HEALTHCHECK --interval=30s --timeout=10s --start-period=3m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=8)"]
# the form that makes the app process 1, so that a polite stop reaches it and what it holds is saved
CMD ["python", "app.py"]
