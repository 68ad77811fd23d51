FROM python:3.12-slim

# A user of its own: nothing in the container runs as root.
RUN useradd --create-home --uid 10001 resift
WORKDIR /app

COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY rag ./rag
COPY ingest ./ingest
COPY service ./service
COPY ui ./ui
RUN pip install --no-cache-dir -c constraints.txt .

COPY app.py ./
COPY demo ./demo
COPY .streamlit ./.streamlit
RUN mkdir /data && chown resift:resift /data

USER resift
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=5 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=2)"]

CMD ["streamlit", "run", "app.py", "--server.headless", "true", "--server.address", "0.0.0.0"]
