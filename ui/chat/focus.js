// Puts the focus into a field, its text selected, as soon as it is drawn.

const PATIENCE = { every: 60, times: 20 };

export default function ({ data }) {
  let left = PATIENCE.times;
  const trying = setInterval(() => {
    const field = document.querySelector(`.st-key-${data.key} input`);
    field?.select();
    if (field || --left === 0) clearInterval(trying);
  }, PATIENCE.every);
  return () => clearInterval(trying);
}
