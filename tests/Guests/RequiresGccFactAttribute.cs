using System.Diagnostics;

namespace Dbt.Tests.Guests;

/// <summary>A fact that needs the compiler that the committed image was built with; says so where it isn't there.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresGccFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Reason = new(Look);

    /// <summary>Skips where gcc is missing, is another version, or has no 32-bit target.</summary>
    public RequiresGccFactAttribute() => Skip = Reason.Value;

    private static string? Look()
    {
        const string wanted = "12.2.0";
        try
        {
            var start = new ProcessStartInfo("gcc", ["-dumpfullversion"]) { RedirectStandardOutput = true };
            using Process process = Process.Start(start)!;
            string version = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return version == wanted ? null : $"the guest's image was built with gcc {wanted}, and this is gcc {version}";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return $"gcc {wanted} is not installed (Debian 12: package gcc)";
        }
    }
}
