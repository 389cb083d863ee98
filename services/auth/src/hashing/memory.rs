use anyhow::{Context as _, anyhow};
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// The memory in which one thread computes argon2, 19 MiB with the parameters of today. It is kept
/// from one hash to the next: freed memory of that size stays with the allocator anyway, several
/// times over, and new memory has to be zeroed by the system page by page.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// The PHC hash of a password.
    pub(super) fn hash(
        &mut self,
        params: &Params,
        password: &[u8],
        salt: &Salt,
    ) -> anyhow::Result<PasswordHash> {
        let (algorithm, version) = (Algorithm::default(), Version::default());
        let output = self
            .compute(algorithm, version, params, password, salt)
            .map_err(|error| anyhow!("hashing a password: {error}"))?;
        let params = ParamsString::try_from(params);
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: params.map_err(|error| anyhow!("the parameters of a hash: {error}"))?,
            salt: Some(*salt),
            hash: Some(output),
        })
    }

    /// Whether `stored` is the hash of this password.
    pub(super) fn verify(
        &mut self,
        stored: &PasswordHash,
        password: &[u8],
    ) -> anyhow::Result<bool> {
        let salt = stored.salt.context("a stored password hash has no salt")?;
        let expected = stored.hash.context("a stored password hash is empty")?;
        let wrong = |error| anyhow!("a stored password hash: {error}");
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(wrong)?;
        let version = stored.version.map(Version::try_from).transpose();
        let version = version
            .map_err(|error| anyhow!("a stored password hash: {error}"))?
            .unwrap_or_default();
        let params = Params::try_from(stored).map_err(wrong)?;
        let output = self
            .compute(algorithm, version, &params, password, &salt)
            .map_err(|error| anyhow!("verifying a password: {error}"))?;
        // In constant time.
        Ok(output == expected)
    }

    fn compute(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        password: &[u8],
        salt: &Salt,
    ) -> argon2::Result<Output> {
        let mut bytes = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let bytes = bytes
            .get_mut(..length)
            .ok_or(argon2::Error::OutputTooLong)?;
        let blocks = params.block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        Argon2::new(algorithm, version, params.clone()).hash_password_into_with_memory(
            password,
            salt,
            bytes,
            &mut self.0[..blocks],
        )?;
        Output::new(bytes).map_err(|_| argon2::Error::OutputTooLong)
    }
}
