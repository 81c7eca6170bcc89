using System.Numerics;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Devices.Network;
using Dbt.Perf.Fuzz.Attackers;
using Dbt.Translator;

namespace Dbt.Perf.Fuzz.Kinds;

/// <summary>
/// Rings of disks, a network card, the console and xenstore, and the nodes that lead to them: requests, slots, indices, grants, states and
/// events in any order, with words that change while they are looked at. A disk that may not be written keeps its contents.
/// </summary>
internal sealed class RingFuzz : IFuzzKind
{
    private const int DiskBytes = 256 << 10;
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-fuzz").FullName;
    private readonly byte[] _readOnly = new byte[DiskBytes];

    public RingFuzz()
    {
        new Random(1).NextBytes(_readOnly);
        File.WriteAllBytes(Image("ro"), _readOnly);
        File.WriteAllBytes(Image("rw"), _readOnly);
    }

    /// <inheritdoc/>
    public int LongestCase => 6000;

    /// <inheritdoc/>
    public void Run(FuzzInput input, FuzzArena arena)
    {
        using var attacker = new PvAttacker(arena, EngineKind.Interpreter, 1);
        var cable = new RingCable();
        DeviceHost devices = DeviceHost.Attach(attacker.Domain, new DeviceConfiguration
        {
            ConsoleOutput = Stream.Null,
            Store = arena.Store,
            Disks =
            [
                new DiskConfiguration(Image("rw"), VirtualDevice.Parse(RingAttack.Disk)) { IsSurelyRaw = true },
                new DiskConfiguration(Image("ro"), VirtualDevice.Parse(RingAttack.ReadOnlyDisk), ReadOnly: true) { IsSurelyRaw = true },
            ],
            Networks = [new NetworkConfiguration(0, MacAddress.FromUuid(Guid.Empty, 0), () => cable)],
        });
        using (devices)
        {
            var attack = new RingAttack(arena, attacker, cable);
            while (input.HasMore)
            {
                attack.Step(input);
            }

            arena.Notes.Met("disk responses", BitOperations.Log2(attacker.Word(8) | 1));
            arena.Notes.Met("receive responses", BitOperations.Log2(attacker.Word(0x3008) | 1));
            arena.Notes.Met("frames", BitOperations.Log2((ulong)cable.Frames | 1));
            foreach (string line in attacker.Domain.Log.Lines)
            {
                arena.Notes.Met("log", string.GetHashCode(string.Concat(line.Where(char.IsAsciiLetter)), StringComparison.Ordinal));
            }
        }

        FuzzFinding.Unless(cable.Problem is null, cable.Problem ?? "");
        FuzzFinding.Unless(File.ReadAllBytes(Image("ro")).AsSpan().SequenceEqual(_readOnly), "a read-only disk was written");
        FuzzFinding.Unless(new FileInfo(Image("rw")).Length == DiskBytes, "a disk grew");
        arena.Notes.Ended(crashed: false, 0, "");
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Image(string name) => Path.Combine(_folder, name);
}
