using System.Diagnostics;
using System.Text.Json;

#pragma warning disable CA1416 // there is no Windows build

namespace Dbt.Tests.Cli;

/// <summary>Compiled code between processes: what a run leaves, what the next one makes of it, and the commands that show and delete it.</summary>
public sealed class CodeCacheCommandTests : IDisposable
{
    private const string Work = "bench all 1\nhalt\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-cache").FullName;

    private string Cache => Path.Combine(_folder, "dbt", "code");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Translator.X64Fact]
    public void ASecondRunTakesOverWhatTheFirstCompiled()
    {
        (long Compiled, long TakenOver) first = Run(), second = Run();
        Assert.Equal(0, first.TakenOver);
        Assert.True(first.Compiled > 0);
        Assert.True(second.TakenOver > 0);
        Assert.True(second.Compiled < first.Compiled, $"{second.Compiled} of {first.Compiled}");
        string file = Assert.Single(Directory.GetFiles(Cache));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));

        string[] row = Dbt("", "cache", "ls").Output.TrimEnd().Split('\t');
        Assert.Equal([Path.GetFileNameWithoutExtension(file), "the embedded guest", "ready"], [row[0], row[1], row[5]]);
        Assert.True(long.Parse(row[2], System.Globalization.CultureInfo.InvariantCulture) >= first.Compiled);
        Assert.Equal(new FileInfo(file).Length, long.Parse(row[3], System.Globalization.CultureInfo.InvariantCulture));
        Assert.Contains("kernels              1\n", Dbt("", "cache", "stat").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void ADamagedFileIsIgnoredWithALineInTheLogAndReplaced()
    {
        Run();
        string file = Assert.Single(Directory.GetFiles(Cache));
        byte[] content = File.ReadAllBytes(file);
        content[content.Length / 2] ^= 0x10;
        File.WriteAllBytes(file, content);
        Assert.EndsWith("\tdamaged\n", Dbt("", "cache", "ls").Output, StringComparison.Ordinal);
        (long compiled, long takenOver) = Run("--log", "log.txt");
        Assert.True(compiled > 0);
        Assert.Equal(0, takenOver);
        Assert.Contains($"compiled code in {file} is ignored: it is damaged", File.ReadAllText(Path.Combine(_folder, "log.txt")), StringComparison.Ordinal);
        Assert.EndsWith("\tready\n", Dbt("", "cache", "ls").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--no-code-cache")]
    [InlineData("code_cache=0")]
    public void NothingIsKeptWhereThatIsNotWanted(string word)
    {
        Run(word);
        Assert.False(Directory.Exists(Cache));
        Assert.Equal("", Dbt("", "cache", "ls").Output);
    }

    [Fact]
    public void AFolderThatOthersMayWriteToIsNotUsed()
    {
        Directory.CreateDirectory(Cache);
        File.SetUnixFileMode(Cache, (UnixFileMode)0x1FF);
        Run("--log", "log.txt");
        Assert.Empty(Directory.GetFiles(Cache));
        Assert.Contains("compiled code is not kept: ", File.ReadAllText(Path.Combine(_folder, "log.txt")), StringComparison.Ordinal);
    }

    [Fact]
    public void PurgeDeletesWhatIsNamedOrAll()
    {
        Run();
        string id = Path.GetFileNameWithoutExtension(Assert.Single(Directory.GetFiles(Cache)));
        (int status, _, string errors) = Dbt("", "cache", "purge", "nothing");
        Assert.Equal(2, status);
        Assert.StartsWith("dbt: no code is kept for nothing", errors, StringComparison.Ordinal);
        Assert.Equal(0, Dbt("", "cache", "purge", id[..6]).Status);
        Assert.Empty(Directory.GetFiles(Cache));
        Run();
        Assert.StartsWith("dbt: 1 deleted", Dbt("", "cache", "purge").Errors, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Cache));
        Assert.StartsWith("dbt: 0 deleted", Dbt("", "cache", "purge").Errors, StringComparison.Ordinal);
    }

    private (long Compiled, long TakenOver) Run(params string[] words)
    {
        (int status, string output, string errors) = Dbt(Work, ["run", "--engine", "optimized", "--stats", "stats.json", .. words]);
        Assert.True(status == 0, errors);
        Assert.Contains("dbt> halt", output, StringComparison.Ordinal);
        using var statistics = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, "stats.json")));
        return (statistics.RootElement.GetProperty("regionsCompiled").GetInt64(), statistics.RootElement.GetProperty("regionsTakenOver").GetInt64());
    }

    private (int Status, string Output, string Errors) Dbt(string input, params string[] words)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Dbt.Cli.CommandLine).Assembly.Location, .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _folder,
        };
        start.Environment["XDG_RUNTIME_DIR"] = _folder;
        start.Environment["XDG_CACHE_HOME"] = _folder;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        Assert.True(process.WaitForExit(120_000));
        return (process.ExitCode, output.Result, errors.Result);
    }
}
