using System.Diagnostics;
using System.Security.Cryptography;
using Dbt.Cli.Running;

namespace Dbt.Tests.Guests;

/// <summary>The committed image is what the sources give.</summary>
public sealed class GuestImageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-guest").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Run(string command, params string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(120_000));
        Assert.True(process.ExitCode == 0, errors.Result);
        return output;
    }

    [RequiresGccFact]
    public void SourcesGiveTheCommittedBytes()
    {
        string built = Path.Combine(_folder, "dbt-guest.elf");
        Run("sh", Path.Combine(Repository.Guests, "build.sh"), built);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Repository.Guests, "image", "dbt-guest.elf")), File.ReadAllBytes(built));
    }

    [RequiresGccFact]
    public void ExpectedChecksumsAreTheHosts()
    {
        string program = Path.Combine(_folder, "kernels");
        Run("gcc", "-O1", "-w", Path.Combine(Repository.Guests, "native-kernels.c"), "-o", program);
        Assert.Equal(File.ReadAllText(Path.Combine(Repository.Guests, "src", "expected.h")), Run(program));
    }

    [Fact]
    public void TheEmbeddedImageIsTheCommittedOne()
    {
        string digest = File.ReadAllText(Path.Combine(Repository.Guests, "image", "dbt-guest.elf.sha256")).Split(' ')[0];
        Assert.Equal(digest, Convert.ToHexStringLower(SHA256.HashData(EmbeddedGuest.Load())));
    }
}
