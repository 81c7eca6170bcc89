using System.Security.Cryptography;
using Dbt.Cli.Config;
using Dbt.Xen.Builder;
using Dbt.Xen.Diagnostics;

namespace Dbt.Cli.Running;

/// <summary>What a guest is made from each time that it starts: its files, read and laid out.</summary>
/// <param name="Plan">How its domain is built.</param>
/// <param name="Symbols">Names of its kernel's functions.</param>
/// <param name="KernelDigest">The SHA-256 of the kernel's file.</param>
internal sealed record GuestImage(DomainPlan Plan, Lazy<SymbolTable?> Symbols, Task<byte[]> KernelDigest)
{
    /// <summary>Reads what a configuration names.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="options">How it is run.</param>
    /// <param name="files">Files that were read before.</param>
    /// <exception cref="ConfigException">A file can't be read.</exception>
    /// <exception cref="DomainBuildException">The guest can't be built.</exception>
    public static GuestImage Load(GuestConfig config, GuestOptions options, GuestFileCache files)
    {
        GuestFile kernel = config.KernelPath is string path ? files.ReadKernel(path, Unpack) : Embedded();
        var request = new BuildRequest
        {
            Kernel = kernel.Bytes,
            KernelName = config.KernelPath ?? EmbeddedGuest.Name,
            Ramdisk = config.RamdiskPath is string ramdisk ? files.Read(ramdisk) : null,
            CommandLine = options.TerminalSize?.AddTo(config.CommandLine) ?? config.CommandLine,
            Type = config.Type,
            MemoryMiB = config.MemoryMiB,
            MaxMemoryMiB = config.MaxMemoryMiB,
            Vcpus = config.Vcpus,
        };
        return new GuestImage(DomainBuilder.Prepare(request), GuestSymbols.Of(config, options.SystemMapPath), kernel.Digest);
    }

    private static GuestFile Embedded()
    {
        byte[] image = EmbeddedGuest.Load();
        return new GuestFile(image, Task.FromResult(SHA256.HashData(image)));
    }

    // What is no kernel is left as it is: the builder says so, with the file's name.
    private static byte[] Unpack(byte[] file)
    {
        try
        {
            return DomainBuilder.UnpackKernel(file);
        }
        catch (KernelFormatException)
        {
            return file;
        }
    }
}
