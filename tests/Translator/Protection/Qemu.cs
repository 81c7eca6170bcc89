using System.Diagnostics;

namespace Dbt.Tests.Translator.Protection;

/// <summary>QEMU's TCG as the oracle: the same image on its smallest PC.</summary>
internal static class Qemu
{
    private const string Program = "qemu-system-i386";

    /// <summary>Whether the host has it.</summary>
    public static bool IsThere => Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(d => File.Exists(Path.Combine(d, Program)));

    /// <summary>Runs an image until it leaves; what it wrote to the debug console.</summary>
    public static byte[] Run(byte[] image)
    {
        string folder = Directory.CreateTempSubdirectory("dbt-protection-").FullName;
        try
        {
            string kernel = Path.Combine(folder, "monitor.bin"), console = Path.Combine(folder, "console");
            File.WriteAllBytes(kernel, image);
            string[] arguments =
            [
                "-M", "pc", "-cpu", "qemu32,+nx,+pae,+pse36", "-m", "32", "-display", "none", "-serial", "none", "-monitor", "none", "-no-reboot", "-net", "none",
                "-debugcon", "file:" + console, "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", kernel,
            ];
            using Process process = Process.Start(new ProcessStartInfo(Program, arguments) { RedirectStandardError = true })!;
            if (!process.WaitForExit(TimeSpan.FromSeconds(60)))
            {
                process.Kill();
                process.WaitForExit();
            }

            return File.Exists(console) ? File.ReadAllBytes(console) : [];
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }
}
