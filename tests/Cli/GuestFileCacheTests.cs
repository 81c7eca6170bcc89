using System.Security.Cryptography;
using Dbt.Cli.Config;
using Dbt.Cli.Running;

namespace Dbt.Tests.Cli;

/// <summary>Reading kernels and ramdisks.</summary>
public sealed class GuestFileCacheTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();
    private readonly GuestFileCache _files = new();

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData((5 << 20) + 123)]
    public async Task AKernelIsReadWholeWithItsDigest(int length)
    {
        byte[] contents = RandomNumberGenerator.GetBytes(length);
        File.WriteAllBytes(_path, contents);
        GuestFile kernel = _files.ReadKernel(_path, bytes => [.. bytes.Reverse()]);
        Assert.Equal(contents.Reverse(), kernel.Bytes);
        Assert.Equal(SHA256.HashData(contents), await kernel.Digest);
    }

    [Fact]
    public void AFileIsReadOnceUnlessItHasChanged()
    {
        File.WriteAllText(_path, "one");
        byte[] first = _files.Read(_path);
        Assert.Same(first, _files.Read(_path));
        File.WriteAllText(_path, "another");
        Assert.Equal("another"u8.ToArray(), _files.Read(_path));
    }

    [Fact]
    public void WhatDoesNotTellItsLengthIsReadToItsEnd() => Assert.Equal(File.ReadAllBytes("/proc/version"), _files.Read("/proc/version"));

    [Fact]
    public async Task APipeIsReadToItsEnd()
    {
        string pipe = _path + ".pipe";
        using (var made = System.Diagnostics.Process.Start("mkfifo", [pipe]))
        {
            await made.WaitForExitAsync();
        }

        try
        {
            var writing = Task.Run(() => File.WriteAllText(pipe, "through a pipe"));
            Assert.Equal("through a pipe"u8.ToArray(), _files.Read(pipe));
            await writing;
        }
        finally
        {
            File.Delete(pipe);
        }
    }

    [Fact]
    public void AnEmptyFileIsEmpty() => Assert.Empty(_files.Read(_path));

    [Fact]
    public void WhatCantBeReadIsNamed() =>
        Assert.Contains("/proc/absent", Assert.Throws<ConfigException>(() => _files.Read("/proc/absent")).Message, StringComparison.Ordinal);
}
