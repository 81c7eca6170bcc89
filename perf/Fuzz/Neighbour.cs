using Dbt.Devices;
using Dbt.Devices.Store;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf.Fuzz;

/// <summary>
/// A domain that does nothing but look whether anybody touched it. Its own code compares each word of 64 KiB with what it wrote there in the
/// round before and writes what the next round expects, reads the clock by the shared time record, and sleeps for five milliseconds by a
/// timer. A grant, a port that waits for domain 0, and store nodes with a secret are its treasures.
/// </summary>
internal sealed unsafe class Neighbour : SmallDomain
{
    /// <summary>Stands in nodes that nobody else may read.</summary>
    public const string Secret = "neighbours-secret-0b5e55ed";

    /// <summary>A grant to domain 0, and what lies in the page.</summary>
    public const uint Grant = 8;

    private const uint PatternBytes = 0x10000, Multiplier = 0x9E3779B1, SleepNanoseconds = 5_000_000;
    private const uint RoundCount = Data, BadAddress = Data + 4, BadValue = Data + 8, Backwards = Data + 12, LastTime = Data + 16, Deadline = Data + 24,
        Latest = Data + 32, Poll = Data + 48;

    private const uint TimeInfo = SharedInfo + SharedInfoLayout.TimeInfo, StorePage = 0x2A000, ConsolePage = 0x2B000;
    private readonly DeviceHost _devices;
    private readonly Dictionary<string, string> _nodes;
    private readonly XenStore _store;
    private readonly uint _port;

    public Neighbour(Hypervisor hypervisor, XenStore store)
        : base(new EngineOptions { Kind = EngineKind.Quick }, hypervisor: hypervisor)
    {
        _store = store;
        for (uint address = 0; address < PatternBytes; address += 4)
        {
            Word(address) = address * Multiplier;
        }

        (Domain.StoreMfn, Domain.ConsoleMfn) = (Frames[StorePage >> 12], Frames[ConsolePage >> 12]);
        Domain.StorePort = Port();
        Domain.ConsolePort = Port();
        _port = Port();
        Domain.Grants.TryGrantToBackend(Grant, Frames[Data >> 12]);
        _devices = DeviceHost.Attach(Domain, new DeviceConfiguration { ConsoleOutput = Stream.Null, Store = store });
        _nodes = new()
        {
            [$"{_devices.Home}/data/secret"] = Secret,
            [$"{_devices.Home}/name"] = Domain.Name,
            [$"{_devices.Home}/domid"] = $"{Domain.Id}",
        };
        store.Write($"{_devices.Home}/data/secret", Secret);
        store.SetPermissions($"{_devices.Home}/data/secret", new StorePermission(Domain.Id, StoreAccess.None));
        (Word(Deadline), Word(Deadline + 4)) = (0, int.MaxValue); // no sleep yet
        Assemble(Code, Program);
    }

    /// <summary>Rounds done.</summary>
    public uint Rounds => Volatile.Read(ref Word(RoundCount));

    /// <summary>Longest time in milliseconds between a deadline and its round: the host's load is in it.</summary>
    public double LatestMilliseconds => Volatile.Read(ref Word(Latest)) / 1e6;

    /// <summary>Lets it run.</summary>
    public void Start() => Vcpu.Start();

    /// <summary>Looks at what it has found, and at its nodes, grant and port.</summary>
    /// <exception cref="FuzzFinding">Somebody touched it.</exception>
    public void Check()
    {
        FuzzFinding.Unless(!Domain.IsStopped, $"the neighbour stopped. {Found()} {Domain.CrashReport?.Text}");
        FuzzFinding.Unless(Word(Backwards) == 0, "the neighbour's clock went backwards");
        foreach ((string path, string value) in _nodes)
        {
            FuzzFinding.Unless(_store.Read(path) == value, $"the neighbour's node {path} is {_store.Read(path) ?? "gone"}");
        }

        FuzzFinding.Unless(Domain.Grants.TryPinForBackend(Grant, writable: true, out uint mfn) && mfn == Frames[Data >> 12], "the neighbour's grant is in another's use");
        Domain.Grants.UnpinForBackend(Grant, writable: true);
        FuzzFinding.Unless(Domain.Events.TryConnectBackend(_port, static () => { }, out BackendChannel channel), "the neighbour's port is in another's use");
        channel.Dispose();
    }

    /// <summary>Waits for its work to go on.</summary>
    /// <exception cref="FuzzFinding">It doesn't.</exception>
    public void WaitForRounds(uint rounds, TimeSpan patience) =>
        FuzzFinding.Unless(SpinWait.SpinUntil(() => Rounds >= rounds || Domain.IsStopped, patience), $"the neighbour stands still in round {Rounds}");

    /// <inheritdoc/>
    public override void Dispose()
    {
        _devices.Dispose();
        Domain.Dispose();
        base.Dispose();
    }

    private uint Port() => Domain.Events.TryAllocateForBackend(out uint port) ? port : throw new InvalidOperationException("The domain has no port left.");

    private string Found() => Word(BadAddress) == 0 && Word(BadValue) == 0 ? "" : $"In round {Rounds} it found {Word(BadValue):x8} at {Word(BadAddress):x}.";

    private static void Program(Assembler c)
    {
        Label round = c.CreateLabel(), word = c.CreateLabel(), bad = c.CreateLabel(), forwards = c.CreateLabel(), early = c.CreateLabel();
        c.xor(ebp, ebp);
        c.Label(ref round);
        c.xor(edi, edi);
        c.Label(ref word);
        c.imul(eax, edi, unchecked((int)Multiplier));
        c.lea(ecx, __[ebp + 1]);
        c.xor(ecx, eax);
        c.xor(eax, ebp);
        c.cmp(__dword_ptr[edi], eax);
        c.jne(bad);
        c.mov(__dword_ptr[edi], ecx);
        c.add(edi, 4);
        c.cmp(edi, (int)PatternBytes);
        c.jb(word);
        c.inc(ebp);
        c.mov(__dword_ptr[RoundCount], ebp);

        ReadTime(c);
        c.mov(eax, esi);
        c.mov(edx, edi);
        c.sub(eax, __dword_ptr[LastTime]);
        c.sbb(edx, __dword_ptr[LastTime + 4]);
        c.jns(forwards);
        c.inc(__dword_ptr[Backwards]);
        c.Label(ref forwards);
        c.mov(__dword_ptr[LastTime], esi);
        c.mov(__dword_ptr[LastTime + 4], edi);

        // How late the sleep ended, unless there was none yet or it ended early.
        c.mov(eax, esi);
        c.mov(edx, edi);
        c.sub(eax, __dword_ptr[Deadline]);
        c.sbb(edx, __dword_ptr[Deadline + 4]);
        c.jne(early);
        c.cmp(eax, __dword_ptr[Latest]);
        c.jbe(early);
        c.mov(__dword_ptr[Latest], eax);
        c.Label(ref early);
        c.add(esi, (int)SleepNanoseconds);
        c.adc(edi, 0);
        c.mov(__dword_ptr[Deadline], esi);
        c.mov(__dword_ptr[Deadline + 4], edi);
        c.mov(__dword_ptr[Poll + 8], esi);
        c.mov(__dword_ptr[Poll + 12], edi);
        Hypercall(c, 29, 3, Poll); // sched_op, SCHEDOP_poll
        c.jmp(round);

        c.Label(ref bad);
        c.mov(__dword_ptr[BadAddress], edi);
        c.mov(eax, __dword_ptr[edi]);
        c.mov(__dword_ptr[BadValue], eax);
        PowerOff(c);
    }

    // System time in EDI:ESI, as public/xen.h describes it at struct vcpu_time_info.
    private static void ReadTime(Assembler c)
    {
        Label again = c.CreateLabel(), left = c.CreateLabel(), shifted = c.CreateLabel();
        c.Label(ref again);
        c.mov(ecx, __dword_ptr[TimeInfo]);
        c.test(cl, 1);
        c.jne(again);
        c.mov(__dword_ptr[Data + 40], ecx);
        c.rdtsc();
        c.sub(eax, __dword_ptr[TimeInfo + 8]);
        c.sbb(edx, __dword_ptr[TimeInfo + 12]);
        c.movsx(ecx, __byte_ptr[TimeInfo + 28]);
        c.test(ecx, ecx);
        c.jns(left);
        c.neg(ecx);
        c.shrd(eax, edx, cl);
        c.shr(edx, cl);
        c.jmp(shifted);
        c.Label(ref left);
        c.shld(edx, eax, cl);
        c.shl(eax, cl);
        c.Label(ref shifted);
        c.mov(ebx, eax);
        c.mov(eax, edx);
        c.mul(__dword_ptr[TimeInfo + 24]);
        c.mov(esi, eax);
        c.mov(edi, edx);
        c.mov(eax, ebx);
        c.mul(__dword_ptr[TimeInfo + 24]);
        c.add(esi, edx);
        c.adc(edi, 0);
        c.add(esi, __dword_ptr[TimeInfo + 16]);
        c.adc(edi, __dword_ptr[TimeInfo + 20]);
        c.mov(ecx, __dword_ptr[TimeInfo]);
        c.cmp(ecx, __dword_ptr[Data + 40]);
        c.jne(again);
    }
}
