using System.Buffers.Binary;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Devices.Store;
using Dbt.Runtime.Threads;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Migration;

/// <summary>
/// What is done while a guest is held is done once beforehand, with a small guest that never runs: the first time .NET loads and compiles our own code
/// as it is reached, which takes some hundred milliseconds.
/// </summary>
internal static class Rehearsal
{
    private const int PageSize = 4096, MemoryMiB = 16;

    // A back end's thread for the store, two for the console, and one or two for each of some disks and cards.
    private const int SpareThreads = 8;

    private static readonly Lock s_lock = new();
    private static bool s_didTranslated, s_didParavirtual;

    /// <summary>Does it if this process hasn't yet, and has threads ready.</summary>
    /// <param name="translated">Of an auto-translated guest, or a paravirtual one.</param>
    public static void Once(bool translated)
    {
        WorkThread.Keep(SpareThreads);
        lock (s_lock)
        {
            ref bool done = ref translated ? ref s_didTranslated : ref s_didParavirtual;
            if (!done)
            {
                done = true;
                Run(translated);
            }
        }
    }

    private static void Run(bool translated)
    {
        byte[] kernel;
        try
        {
            kernel = translated ? HaltingKernel() : EmbeddedGuest.Load();
        }
        catch (ConfigException)
        {
            // This build has none; the first guest is held for longer.
            return;
        }

        DomainPlan plan = DomainBuilder.Prepare(new BuildRequest { Kernel = kernel, MemoryMiB = MemoryMiB });
        using var here = new Hypervisor((4 * MemoryMiB) << 20);
        using var there = new Hypervisor((4 * MemoryMiB) << 20);
        using Domain domain = here.CreateDomain("rehearsal", new EngineOptions());
        DomainBuilder.Build(domain, plan);
        domain.Pause();
        using DeviceHost devices = DeviceHost.Attach(domain, Devices());
        domain.Vcpus[0].Start();
        devices.Hold();
        using var saved = new MemoryStream();
        var writer = new StateWriter(saved);
        DomainState.Capture(domain, writer);
        devices.Capture(writer);
        writer.End();
        saved.Position = 0;
        Arrive(domain, there, StateReader.Read(saved));
        domain.Shutdown(ShutdownReason.Poweroff);
    }

    private static void Arrive(Domain from, Hypervisor there, StateReader state)
    {
        using var restorer = new DomainRestorer(there, DomainHeader.Of(from, ImageKind.Live), new EngineOptions(), "rehearsed", Guid.NewGuid());
        foreach (GuestPage page in DomainState.Pages(from))
        {
            if (!MemoryChunk.IsZero(from, page.Mfn))
            {
                Contents(from, page.Mfn).CopyTo(restorer.Page(page.Number));
            }
        }

        restorer.Finish(state);
        using Domain domain = restorer.Domain;
        using DeviceHost devices = DeviceHost.Restore(domain, Devices(), state);
        state.End();
        domain.Clock.SetPaused(domain.Clock.Now + 1);
        domain.Shutdown(ShutdownReason.Poweroff);
        devices.Release();
        domain.Resume();
        devices.AnnounceNetworks();
    }

    private static unsafe ReadOnlySpan<byte> Contents(Domain domain, uint mfn) => new(domain.Hypervisor.Machine.Frame(mfn), PageSize);

    private static DeviceConfiguration Devices() => new() { ConsoleOutput = Stream.Null, Store = new XenStore() };

    // An ELF file with one page to load and the note that says where PVH begins. It is never run, and would stop at once.
    private static byte[] HaltingKernel()
    {
        const uint entry = 1 << 20, halt = 0xFDEBF4, note = 18;
        const int headers = 52, programHeader = 32, code = headers + (2 * programHeader), notes = code + 4;
        byte[] file = new byte[notes + 20];
        "\x7F"u8.CopyTo(file);
        "ELF\x01\x01\x01"u8.CopyTo(file.AsSpan(1));
        Write(16, 3 << 16 | 2, 1, entry, headers, 0, 0, headers | (programHeader << 16), 2, 0);
        Write(headers, 1, code, entry, entry, 4, 4, 7, PageSize);
        Write(headers + programHeader, 4, notes, 0, 0, 20, 20, 4, 4);
        Write(code, halt, 4, 4, note);
        "Xen\0"u8.CopyTo(file.AsSpan(notes + 12));
        Write(notes + 16, entry);
        return file;

        void Write(int at, params ReadOnlySpan<uint> words)
        {
            foreach (uint word in words)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), word);
                at += sizeof(uint);
            }
        }
    }
}
