namespace Dbt.Cli.Guests;

/// <summary>How a guest is to be made.</summary>
/// <param name="Packages">Packages beside the guest's own.</param>
/// <param name="SizeMiB">Size of its root file system; null for what is usual.</param>
internal sealed record GuestRequest(IReadOnlyList<string> Packages, int? SizeMiB)
{
    /// <summary>Bounds of a root file system's size, MiB.</summary>
    public const int LeastMiB = 64, MostMiB = 1 << 20;
}
