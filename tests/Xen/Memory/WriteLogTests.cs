using Dbt.Perf;
using Dbt.Tests.Xen.Hvm;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Memory;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Memory;

/// <summary>No write is missed by <see cref="WriteLog"/>: guests that write without end, and a copy that follows.</summary>
public class WriteLogTests
{
    private const uint Data = SmallDomain.Data, Stop = SmallDomain.Arguments;

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    [Theory]
    [MemberData(nameof(Engines))]
    public void TwoParavirtualProcessorsWriteAllTheTime(EngineKind engine)
    {
        using var guest = new SmallDomain(new EngineOptions { Kind = engine }, vcpus: 2);
        guest.Assemble(SmallDomain.Code, code => WriteForEver(code, Data));
        guest.Assemble(SmallDomain.User, code => WriteForEver(code, Data + 0x2000));
        Assert.Equal(0, guest.Domain.Memory.SwitchBase(guest.Domain.Vcpus[1], guest.Root));
        guest.Domain.Vcpus[1].SetStartState(SmallDomain.User, SmallDomain.UserStackTop, 0);
        FollowAndCheck(guest.Domain, () => guest.Word(Data) != 0 && guest.Word(Data + 0x2000) != 0);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnAutoTranslatedProcessorWritesAllTheTime(EngineKind engine)
    {
        var code = new Assembler(32);
        code.mov(esp, 0x28000);
        code.mov(eax, 0x600); // OSFXSR and OSXMMEXCPT
        code.mov(cr4, eax);
        WriteForEver(code, Data);
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), HvmFixture.Entry);
        using var guest = new HvmFixture(stream.ToArray(), engine: engine);
        FollowAndCheck(guest.Domain, () => guest.Get(Data) != 0);
    }

    [Fact]
    public void WhatIsNotWrittenIsNotTold()
    {
        using var guest = new SmallDomain(new EngineOptions { Kind = EngineKind.Tiered });
        guest.Assemble(SmallDomain.Code, code =>
        {
            Label again = code.CreateLabel();
            code.Label(ref again);
            code.mov(eax, __dword_ptr[Data + 0x1000]);
            code.inc(__dword_ptr[Data]);
            code.jmp(again);
        });
        guest.Domain.Vcpus[0].Start();
        using var shadow = new MemoryShadow(guest.Domain);
        WaitFor(() => guest.Word(Data) > 100_000);
        uint written = guest.Frames[Data >> 12];
        for (int i = 0; i < 20; i++)
        {
            shadow.Round();
            uint seen = Volatile.Read(ref guest.Word(Data));
            WaitFor(() => Volatile.Read(ref guest.Word(Data)) != seen);
        }

        // The processor's time record is in shared_info, which is told at the end alone.
        Assert.Equal([written], shadow.Last);
        guest.Domain.Pause();
        shadow.Finish();
    }

    [Fact]
    public void HypercallsBackEndsAndPageTablesAreTold()
    {
        using var f = new MemoryFixture();
        using var shadow = new MemoryShadow(f.Domain);
        shadow.Round();
        Assert.Equal(0, f.UpdateVa(0x9000, 0));
        Assert.NotEqual(0, shadow.Round());
        uint page = f.Pages[9];
        unsafe
        {
            byte* host = f.Hypervisor.Machine.Frame(page);
            host[17] = 1;
            f.Hypervisor.Machine.CodeMap.Written(host + 17, 1);
        }

        shadow.Round();
        Assert.Equal([page], shadow.Last);
        Assert.True(f.Memory.TryAddPage(out uint fresh));
        shadow.Round();
        Assert.Contains(fresh, shadow.Last);
        Assert.Equal(0, f.Memory.ClearPage(page));
        shadow.Round();
        Assert.Equal([page], shadow.Last);
        shadow.Finish();
    }

    [Fact]
    public void OffAgainNothingIsMarked()
    {
        using var f = new MemoryFixture();
        using (var shadow = new MemoryShadow(f.Domain))
        {
            shadow.Round();
        }

        Assert.Equal(0, f.Memory.ClearPage(f.Pages[9]));
        using var log = new WriteLog(f.Domain);
        var written = new List<uint>();
        log.Take(written);
        Assert.Empty(written);
    }

    /// <summary>Starts the guest, follows it over many rounds while it runs, then pauses it and compares.</summary>
    private static void FollowAndCheck(Domain domain, Func<bool> hasBegun)
    {
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            vcpu.Start();
        }

        WaitFor(hasBegun);
        for (int times = 0; times < 3; times++)
        {
            using var shadow = new MemoryShadow(domain);
            for (int i = 0; i < 100; i++)
            {
                shadow.Round();
                Thread.SpinWait(2000 * (i % 7));
            }

            domain.Pause();
            shadow.Finish();
            domain.Resume();
        }

        Assert.Null(domain.CrashReport);
        domain.Shutdown(ShutdownReason.Poweroff);
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            vcpu.Stop();
        }
    }

    /// <summary>Stores of all kinds into four pages: single, spans, the stack, strings across pages, SSE, x87, locked; hot enough for every engine.</summary>
    private static void WriteForEver(Assembler code, uint data)
    {
        Label again = code.CreateLabel(), loop = code.CreateLabel();
        code.cld();
        code.xor(eax, eax);
        code.Label(ref again);
        code.inc(eax);
        code.mov(__dword_ptr[data], eax);
        code.mov(edx, data + 0x100);
        code.mov(ecx, 200);
        code.Label(ref loop);
        code.mov(__dword_ptr[edx], eax);
        code.mov(__dword_ptr[edx + 4], ecx);
        code.add(__word_ptr[edx + 8], 3);
        code.push(eax);
        code.push(ecx);
        code.pop(ecx);
        code.pop(eax);
        code.add(edx, 16);
        code.dec(ecx);
        code.jne(loop);
        code.mov(edi, data + 0xE80);
        code.mov(ecx, 0x80);
        code.rep.stosd();
        code.mov(esi, data + 0xF80);
        code.mov(ecx, 0x40);
        code.rep.movsd();
        code.movd(xmm0, eax);
        code.movups(__xmmword_ptr[data + 0x1FF4], xmm0);
        code.mov(__dword_ptr[data + 0x1800], eax);
        code.fild(__dword_ptr[data + 0x1800]);
        code.fstp(__qword_ptr[data + 0x1808]);
        code.@lock.xadd(__dword_ptr[data + 0x1810], eax);
        code.mov(eax, __dword_ptr[data]);
        code.jmp(again);
    }

    private static void WaitFor(Func<bool> condition) =>
        Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromMinutes(1)), "the guest did not get there");
}
