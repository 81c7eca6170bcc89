namespace Dbt.Tests.Translator.Oracle.Mutations;

/// <summary>Does not notice that code is written: translations outlive it.</summary>
internal sealed class ForgetfulPlatform : OraclePlatform
{
    /// <inheritdoc/>
    protected override bool NoticesCodeWrites => false;

    /// <inheritdoc/>
    public override void ProtectCode(uint frame)
    {
    }
}
