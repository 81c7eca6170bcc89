using System.Globalization;
using System.Security.Cryptography;
using CsCheck;
using Dbt.Cli.Config;
using Dbt.Devices;
using Dbt.Devices.Snapshot;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Snapshot;

/// <summary>
/// Saved guests that were changed on purpose, checksums put right, so that what lies behind them is met: whatever comes of it is an error or a guest, and
/// when that has gone nothing of it is left in the hypervisor or in the store.
/// <c>DBT_SNAPSHOT_FUZZ=100000</c> for a long run.
/// </summary>
public sealed class HostileFileTests : IDisposable
{
    private const int PreambleBytes = 16, DigestBytes = 32;

    private static readonly uint[] Interesting = [0, 1, 2, 3, 0xFF, 0x100, 0x7FF0, 0xFFFF, 0x10000, 0xF5800000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF];

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-hostile").FullName;

    private static int Iterations => int.Parse(Environment.GetEnvironmentVariable("DBT_SNAPSHOT_FUZZ") ?? "150", CultureInfo.InvariantCulture);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void NothingOfAParavirtualOneHarmsTheHost() => Fuzz(SaveOwnGuest());

    [Fact]
    public void NothingOfASuspendedOneHarmsTheHost() => Fuzz(SaveOwnGuest(ImageKind.Suspended));

    [Fact]
    public void NothingOfATranslatedOneHarmsTheHost() => Fuzz(SaveTranslatedGuest());

    [Fact]
    public void NothingOfAClonedOneHarmsTheHost() => Fuzz(SaveTranslatedGuest(), clones: true);

    [Fact]
    public void NothingOfAClonedParavirtualOneHarmsTheHost() => Fuzz(SaveOwnGuest(ImageKind.Suspended), clones: true);

    [Fact]
    public void DamageIsTold()
    {
        byte[] good = SaveTranslatedGuest();
        using var machine = new Hypervisor();
        Assert.Contains("is no guest", Refusal(machine, [1, 2, 3]), StringComparison.Ordinal);
        Assert.Contains("is no guest", Refusal(machine, new byte[1000]), StringComparison.Ordinal);
        byte[] newer = [.. good];
        newer[8] = 99;
        Assert.Contains("has version 99 of the format, and this dbt reads 1 to 2", Refusal(machine, newer), StringComparison.Ordinal);
        Assert.Contains("was cut off", Refusal(machine, good[..(good.Length / 2)]), StringComparison.Ordinal);
        Assert.Contains("SHA-256 is wrong", Refusal(machine, good[..^1]), StringComparison.Ordinal);
        byte[] flipped = [.. good];
        flipped[good.Length / 2] ^= 4;
        Assert.Contains("it is damaged", Refusal(machine, flipped), StringComparison.Ordinal);
        Assert.Equal(machine.Machine.FrameCount - 1, machine.Machine.FreeFrames);
    }

    private static string Refusal(Hypervisor machine, byte[] file) => Assert.Throws<SnapshotException>(() => Restore(machine, new XenStore(), file, clones: false)).Message;

    private static void Fuzz(byte[] good, bool clones = false)
    {
        List<Section> sections = Split(good);
        using var machine = new Hypervisor();
        var store = new XenStore();
        uint free = machine.Machine.FreeFrames;
        int restored = 0, refused = 0;
        Gen.Int.Sample(
            seed =>
            {
                var random = new Random(seed);
                try
                {
                    Restore(machine, store, Mutate(good, sections, random), clones);
                    restored++;
                }
                catch (Exception exception) when (exception is SnapshotException or HostException)
                {
                    Assert.DoesNotContain('\n', exception.Message);
                    refused++;
                }

                Assert.Equal(free, machine.Machine.FreeFrames);
                Assert.Equal(["0"], store.List("/local/domain"));
                Assert.Empty(store.List("/vm")!);
            },
            iter: Iterations, threads: 1);
        Assert.True(restored > 0 && refused > 0, $"{restored} were restored, {refused} refused");
    }

    private static void Restore(Hypervisor machine, XenStore store, byte[] file, bool clones)
    {
        using var reader = new SnapshotReader(new MemoryStream(file));
        using MemoryImage? image = clones ? new MemoryImage(reader.Header) : null;
        using var restorer = new DomainRestorer(machine, reader.Header, new EngineOptions { Kind = EngineKind.Interpreter }, "restored", Guid.NewGuid());
        StateReader state = reader.Read((IPageSink?)image ?? restorer, null, CancellationToken.None);
        if (image is not null)
        {
            restorer.Populate(image, state);
        }

        restorer.Finish(state);
        using Domain domain = restorer.Domain;
        using DeviceHost devices = Devices(domain, store, state, reader.Header.Kind);
        state.End();
        devices.Release();
        domain.Resume();
        domain.Stopped.Wait(5);
        domain.Shutdown(ShutdownReason.Poweroff);
        domain.Vcpus.ForEach(static vcpu => vcpu.Stop());
    }

    private static DeviceHost Devices(Domain domain, XenStore store, StateReader state, ImageKind kind) => kind == ImageKind.Live
        ? DeviceHost.Restore(domain, new DeviceConfiguration { ConsoleOutput = Stream.Null, Store = store }, state)
        : DeviceHost.Attach(domain, new DeviceConfiguration { ConsoleOutput = Stream.Null, Store = store, Disks = DeviceHost.ReadDevices(state).Disks });

    private static byte[] Mutate(byte[] good, List<Section> sections, Random random)
    {
        if (random.Next(20) == 0)
        {
            // As damage would do, checksums and all.
            byte[] raw = good[..random.Next(good.Length)];
            raw.AsSpan(random.Next(raw.Length)).Reverse();
            return raw;
        }

        List<Section> changed = [.. sections];
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            int at = random.Next(changed.Count);
            Section section = changed[at];
            switch (random.Next(12))
            {
                case 0:
                    changed.RemoveAt(at);
                    break;
                case 1:
                    changed.Insert(random.Next(changed.Count), section);
                    break;
                case 2:
                    changed[at] = section with { Instance = section.Instance + (uint)random.Next(3) - 1 };
                    break;
                case 3:
                    changed[at] = section with { Type = sections[random.Next(sections.Count)].Type };
                    break;
                case 4:
                    changed[at] = section with { Fields = section.Fields[..random.Next(section.Fields.Length + 1)] };
                    break;
                case 5:
                    changed[at] = section with { Fields = [.. section.Fields, .. section.Fields[..random.Next(Math.Min(64, section.Fields.Length + 1))]] };
                    break;
                default:
                    changed[at] = section with { Fields = Change(section.Fields, random) };
                    break;
            }
        }

        return Join(good, changed);
    }

    private static byte[] Change(byte[] fields, Random random)
    {
        byte[] changed = [.. fields];
        for (int i = random.Next(1, 5); i > 0 && changed.Length >= 4; i--)
        {
            int at = random.Next(changed.Length - 3);
            if (random.Next(2) == 0)
            {
                changed[at] ^= (byte)(1 << random.Next(8));
            }
            else
            {
                BitConverter.TryWriteBytes(changed.AsSpan(at), Interesting[random.Next(Interesting.Length)]);
            }
        }

        return changed;
    }

    private static List<Section> Split(byte[] file)
    {
        var sections = new List<Section>();
        var stream = new SectionStream(new MemoryStream(file, PreambleBytes, file.Length - PreambleBytes));
        while (stream.Next() is { Type: not SectionType.End } section)
        {
            sections.Add(new Section(section.Type, section.Instance, section.Bytes(section.Left).ToArray()));
        }

        return sections;
    }

    private static byte[] Join(byte[] good, List<Section> sections)
    {
        var file = new MemoryStream();
        file.Write(good, 0, PreambleBytes);
        var writer = new StateWriter(file);
        sections.ForEach(section => writer.Section(section.Type, section.Instance, section.Fields));
        writer.End();
        file.Write(SHA256.HashData(file.ToArray()));
        return file.ToArray();
    }

    private byte[] SaveOwnGuest(ImageKind kind = ImageKind.Live)
    {
        string image = Path.Combine(_folder, "a.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        GuestConfig config = GuestConfigReader.Read(null, [$"disk=['{image},raw,xvda,w']", "memory=16", "vcpus=3", "extra='run=selftest processors'"]);
        using var guest = new MovingGuest(config, EngineKind.Tiered);
        Assert.True(SpinWait.SpinUntil(() => guest.Transcript.Text.EndsWith("dbt> ", StringComparison.Ordinal), TimeSpan.FromMinutes(2)), guest.Transcript.Text);
        return guest.Save(kind);
    }

    private byte[] SaveTranslatedGuest()
    {
        string kernel = Path.Combine(_folder, "kernel"), image = Path.Combine(_folder, "b.img");
        File.WriteAllBytes(kernel, CountingKernel.Make());
        File.WriteAllBytes(image, new byte[64 << 10]);
        GuestConfig config = GuestConfigReader.Read(null, [$"kernel={kernel}", "type=pvh", $"disk=['{image},raw,xvda,w']", "memory=16", "vcpus=2"]);
        using var guest = new MovingGuest(config, EngineKind.Tiered);
        Assert.True(SpinWait.SpinUntil(() => guest.Domain.Vcpus[0].EngineStatistics is { InterpretedInstructions: > 10_000 }, TimeSpan.FromMinutes(2)));
        return guest.Save();
    }

    private sealed record Section(SectionType Type, uint Instance, byte[] Fields);
}
