//! Costs of requests, computed exactly. `docs/prices.md` says in which order rates are looked for.
//!
//! Rates are US dollars for a unit, given as doubles. Each is read as the shortest decimal number that names the double,
//! which is what somebody wrote, and is rounded once, half to even, to 10⁻¹⁸ dollars. All else is arithmetic of integers;
//! the sum is rounded once more, half to even, to nano-dollars.

mod rate;

use rate::{Line, Table, place};

use crate::domain::{NanoUsd, Rates};

/// How fast a provider was asked to answer, which decides its prices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tier {
    /// As usual.
    #[default]
    Standard,
    /// Some time later, as a part of a batch.
    Batch,
    /// Before others.
    Priority,
}

/// The quality of images that were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ImageQuality {
    /// Not stated.
    #[default]
    Unknown,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Chosen by the provider.
    Auto,
    /// Premium.
    Premium,
}

/// The consumption of one request. What is 0 was not used, or is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// The tier that the provider served it in.
    pub tier: Tier,
    /// LLM tokens of the prompt: all of them, those of the next fields included.
    pub input_tokens: u64,
    /// Of the input tokens, those that were read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Of the input tokens read from the cache, those of images.
    pub cache_read_image_tokens: u64,
    /// Of the input tokens, those that were written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// Of the input tokens written to the cache, those of audio.
    pub cache_creation_audio_tokens: u64,
    /// Of the input tokens that are in no cache, those of audio.
    pub input_audio_tokens: u64,
    /// Of the input tokens that are in no cache, those of images.
    pub input_image_tokens: u64,
    /// Characters of the prompt.
    pub input_characters: u64,
    /// Images of the prompt.
    pub input_images: u64,
    /// Length of audio in the prompt, in milliseconds.
    pub input_audio_millis: u64,
    /// Length of video in the prompt, in milliseconds.
    pub input_video_millis: u64,
    /// LLM tokens of the answer: all of them, those of the next fields included.
    pub output_tokens: u64,
    /// Of the output tokens, those of audio.
    pub output_audio_tokens: u64,
    /// Of the output tokens, those of images.
    pub output_image_tokens: u64,
    /// Images that were made.
    pub output_images: u64,
    /// The quality of the images that were made.
    pub image_quality: ImageQuality,
    /// The shorter side of the images that were made, in pixels.
    pub image_side: u32,
    /// The pixels of all images that were made or edited.
    pub pixels: u64,
    /// Length of audio that was made, in milliseconds.
    pub output_audio_millis: u64,
    /// Length of video that was made, in milliseconds.
    pub output_video_millis: u64,
    /// Searches of the web.
    pub searches: u64,
    /// Sessions of a code interpreter.
    pub code_interpreter_sessions: u64,
}

const INPUT: Line = Line {
    batches: Some(place("input_cost_per_token_batches")),
    priority: Some(place("input_cost_per_token_priority")),
    above_128k: Some(place("input_cost_per_token_above_128k_tokens")),
    above_200k: Some(place("input_cost_per_token_above_200k_tokens")),
    ..Line::flat("input_cost_per_token")
};
const OUTPUT: Line = Line {
    batches: Some(place("output_cost_per_token_batches")),
    priority: Some(place("output_cost_per_token_priority")),
    above_128k: Some(place("output_cost_per_token_above_128k_tokens")),
    above_200k: Some(place("output_cost_per_token_above_200k_tokens")),
    ..Line::flat("output_cost_per_token")
};
const CACHE_READ: Line = Line {
    priority: Some(place("cache_read_input_token_cost_priority")),
    above_200k: Some(place("cache_read_input_token_cost_above_200k_tokens")),
    ..Line::flat("cache_read_input_token_cost")
};
const CACHE_CREATION: Line = Line {
    above_200k: Some(place("cache_creation_input_token_cost_above_200k_tokens")),
    ..Line::flat("cache_creation_input_token_cost")
};
const CACHE_READ_IMAGE: usize = place("cache_read_input_image_token_cost");
const CACHE_CREATION_AUDIO: usize = place("cache_creation_input_audio_token_cost");
const INPUT_AUDIO_TOKEN: usize = place("input_cost_per_audio_token");
const INPUT_IMAGE_TOKEN: usize = place("input_cost_per_image_token");
const INPUT_CHARACTER: usize = place("input_cost_per_character");
const INPUT_IMAGE: usize = place("input_cost_per_image");
const INPUT_PIXEL: usize = place("input_cost_per_pixel");
const INPUT_SECOND: usize = place("input_cost_per_second");
const INPUT_AUDIO_SECOND: usize = place("input_cost_per_audio_per_second");
const INPUT_VIDEO_SECOND: usize = place("input_cost_per_video_per_second");
const OUTPUT_AUDIO_TOKEN: usize = place("output_cost_per_audio_token");
const OUTPUT_IMAGE_TOKEN: usize = place("output_cost_per_image_token");
const OUTPUT_IMAGE: usize = place("output_cost_per_image");
const OUTPUT_IMAGE_LOW: usize = place("output_cost_per_image_low_quality");
const OUTPUT_IMAGE_MEDIUM: usize = place("output_cost_per_image_medium_quality");
const OUTPUT_IMAGE_HIGH: usize = place("output_cost_per_image_high_quality");
const OUTPUT_IMAGE_AUTO: usize = place("output_cost_per_image_auto_quality");
const OUTPUT_IMAGE_PREMIUM: usize = place("output_cost_per_image_premium_image");
/// Rates of images both of whose sides are longer, the longest first.
const OUTPUT_IMAGE_ABOVE: [(u32, usize); 4] = [
    (4_096, place("output_cost_per_image_above_4096_and_4096_pixels")),
    (2_048, place("output_cost_per_image_above_2048_and_2048_pixels")),
    (1_024, place("output_cost_per_image_above_1024_and_1024_pixels")),
    (512, place("output_cost_per_image_above_512_and_512_pixels")),
];
const OUTPUT_PIXEL: usize = place("output_cost_per_pixel");
const OUTPUT_SECOND: usize = place("output_cost_per_second");
const OUTPUT_VIDEO_SECOND: usize = place("output_cost_per_video_per_second");
const SEARCH: usize = place("search_context_cost_per_query");
const CODE_INTERPRETER: usize = place("code_interpreter_cost_per_session");

/// The cost of a request that used `used`, at `rates`. A unit without a rate costs nothing. The parts of the input and
/// output tokens are cut where they exceed the whole, so that no LLM token is charged twice. At most `i64::MAX`
/// nano-dollars.
pub fn cost(rates: &Rates, used: &Usage) -> NanoUsd {
    let table = Table::of(rates);
    let mut sum = Sum::default();
    add_input(&table, used, &mut sum);
    add_output(&table, used, &mut sum);
    sum.units(used.pixels, table.get(INPUT_PIXEL));
    sum.units(used.pixels, table.get(OUTPUT_PIXEL));
    sum.units(used.searches, table.get(SEARCH));
    sum.units(used.code_interpreter_sessions, table.get(CODE_INTERPRETER));
    sum.nano_usd()
}

fn add_input(table: &Table, used: &Usage, sum: &mut Sum) {
    let input = table.line(&INPUT, used);
    let mut rest = used.input_tokens;
    let [read, written, audio, image] = parts(
        &mut rest,
        [used.cache_read_tokens, used.cache_creation_tokens, used.input_audio_tokens, used.input_image_tokens],
    );

    let rate = table.line(&CACHE_READ, used).or(input);
    let images = used.cache_read_image_tokens.min(read);
    sum.units(read - images, rate);
    sum.units(images, table.get(CACHE_READ_IMAGE).or(rate));

    let rate = table.line(&CACHE_CREATION, used).or(input);
    let audios = used.cache_creation_audio_tokens.min(written);
    sum.units(written - audios, rate);
    sum.units(audios, table.get(CACHE_CREATION_AUDIO).or(rate));

    match table.get(INPUT_CHARACTER) {
        Some(rate) if used.input_characters > 0 => sum.units(used.input_characters, Some(rate)),
        _ => sum.units(rest, input),
    }
    match table.get(INPUT_AUDIO_SECOND).or(table.get(INPUT_SECOND)) {
        Some(rate) if used.input_audio_millis > 0 => sum.thousandths(used.input_audio_millis, Some(rate)),
        _ => sum.units(audio, table.get(INPUT_AUDIO_TOKEN).or(input)),
    }
    match table.get(INPUT_IMAGE) {
        Some(rate) if used.input_images > 0 => sum.units(used.input_images, Some(rate)),
        _ => sum.units(image, table.get(INPUT_IMAGE_TOKEN).or(input)),
    }
    sum.thousandths(used.input_video_millis, table.get(INPUT_VIDEO_SECOND).or(table.get(INPUT_SECOND)));
}

fn add_output(table: &Table, used: &Usage, sum: &mut Sum) {
    let output = table.line(&OUTPUT, used);
    let mut rest = used.output_tokens;
    let [audio, image] = parts(&mut rest, [used.output_audio_tokens, used.output_image_tokens]);
    sum.units(rest, output);
    sum.units(audio, table.get(OUTPUT_AUDIO_TOKEN).or(output));
    match (table.get(OUTPUT_IMAGE_TOKEN), image_rate(table, used)) {
        (Some(rate), _) if image > 0 => sum.units(image, Some(rate)),
        (_, Some(rate)) if used.output_images > 0 => sum.units(used.output_images, Some(rate)),
        _ => sum.units(image, output),
    }
    sum.thousandths(used.output_audio_millis, table.get(OUTPUT_SECOND));
    sum.thousandths(used.output_video_millis, table.get(OUTPUT_VIDEO_SECOND).or(table.get(OUTPUT_SECOND)));
}

/// The rate of an image that was made: by its quality, else by its size, else that of any image.
fn image_rate(table: &Table, used: &Usage) -> Option<u128> {
    let by_quality = match used.image_quality {
        ImageQuality::Unknown => None,
        ImageQuality::Low => table.get(OUTPUT_IMAGE_LOW),
        ImageQuality::Medium => table.get(OUTPUT_IMAGE_MEDIUM),
        ImageQuality::High => table.get(OUTPUT_IMAGE_HIGH),
        ImageQuality::Auto => table.get(OUTPUT_IMAGE_AUTO),
        ImageQuality::Premium => table.get(OUTPUT_IMAGE_PREMIUM),
    };
    let above = OUTPUT_IMAGE_ABOVE.into_iter().filter(|(side, _)| used.image_side > *side);
    let by_size = above.filter_map(|(_, place)| table.get(place)).next();
    by_quality.or(by_size).or(table.get(OUTPUT_IMAGE))
}

/// Takes the parts out of `rest`, one after the other, each as far as there is something left.
fn parts<const N: usize>(rest: &mut u64, parts: [u64; N]) -> [u64; N] {
    parts.map(|part| {
        let taken = part.min(*rest);
        *rest -= taken;
        taken
    })
}

/// A sum of money, in 10⁻²¹ dollars.
#[derive(Default)]
struct Sum(u128);

impl Sum {
    /// Adds the cost of whole units.
    fn units(&mut self, count: u64, rate: Option<u128>) {
        self.add(u128::from(count) * 1_000, rate);
    }

    /// Adds the cost of thousandths of units.
    fn thousandths(&mut self, count: u64, rate: Option<u128>) {
        self.add(u128::from(count), rate);
    }

    fn add(&mut self, thousandths: u128, rate: Option<u128>) {
        self.0 = self.0.saturating_add(thousandths.saturating_mul(rate.unwrap_or_default()));
    }

    fn nano_usd(&self) -> NanoUsd {
        const NANO: u128 = 1_000_000_000_000;
        let (whole, rest) = (self.0 / NANO, self.0 % NANO);
        let up = rest > NANO / 2 || rest == NANO / 2 && whole % 2 == 1;
        NanoUsd::from_nanos(i64::try_from(whole + u128::from(up)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests;
