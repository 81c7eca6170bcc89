using System.Runtime.InteropServices;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>A test that needs a host whose kernel runs 32-bit x86 programs; skipped, aloud, elsewhere.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RequiresNative32FactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Reason = new(Probe);

    public RequiresNative32FactAttribute() => Skip = Reason.Value;

    private static string? Probe()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.OSArchitecture is not (Architecture.X64 or Architecture.X86))
        {
            return "The native oracle needs Linux on an x86 processor.";
        }

        try
        {
            using var native = new NativeProcessor();
            Outcome outcome = native.Run(new byte[OracleLayout.LiveBytes], [new TestVector { Code = [[0xCC]] }])[0];
            return outcome.Unusable ? $"The native oracle's 32-bit program does not run here (exit code {native.LastExitCode})." : null;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException or UnauthorizedAccessException)
        {
            return $"The native oracle's 32-bit program cannot be started here: {e.Message}";
        }
    }
}
