namespace Dbt.Cli.Profile;

/// <summary>Where a sample was taken, in words.</summary>
/// <param name="Image">The kernel, a program, or a library; <c>?</c> for unknown.</param>
/// <param name="Function">The function; the address where there is no name.</param>
internal readonly record struct CodePlace(string Image, string Function)
{
    /// <summary>The kernel.</summary>
    public const string Kernel = "kernel";

    /// <summary>Code that nothing is known of.</summary>
    public const string Unknown = "?";

    /// <summary>As reports show it.</summary>
    public override string ToString() => $"{Function} [{Image}]";
}
