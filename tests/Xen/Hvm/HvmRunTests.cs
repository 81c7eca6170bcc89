using Dbt.Translator;
using Dbt.Xen;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>Small programs on a PVH domain's processor, on each engine.</summary>
public class HvmRunTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task TheHypercallPageIsWrittenWhereTheRegisterSays(EngineKind engine)
    {
        var a = new Assembler(32);
        a.mov(ecx, 0x40000000);
        a.mov(eax, 0x20000);
        a.xor(edx, edx);
        a.wrmsr();
        a.mov(esp, 0x30000);
        a.xor(ebx, ebx); // XENVER_version
        a.mov(eax, 0x20000 + (17 * 32));
        a.call(eax);
        a.mov(__dword_ptr[0x40000], eax);
        a.mov(ebx, 2); // SCHEDOP_shutdown, with the reason at 40004h: reboot
        a.mov(__dword_ptr[0x40004], 1);
        a.mov(ecx, 0x40004);
        a.mov(eax, 0x20000 + (29 * 32));
        a.call(eax);
        using HvmFixture f = await Run(a, engine, ShutdownReason.Reboot);
        Assert.Equal(0x00040011u, f.Get(0x40000));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task HaltingForGoodIsAPowerOff(EngineKind engine)
    {
        var a = new Assembler(32);
        foreach (byte b in "so long\n"u8)
        {
            a.mov(al, b);
            a.@out(0xE9, al);
        }

        a.mov(dx, 0xCF8);
        a.@in(eax, dx);
        a.mov(__dword_ptr[0x40000], eax);
        a.mov(eax, __dword_ptr[0xFEE00030]);
        a.mov(__dword_ptr[0x40004], eax);
        a.mov(eax, __dword_ptr[0xD0000000]);
        a.mov(__dword_ptr[0x40008], eax);
        a.cli();
        a.hlt();
        using HvmFixture f = await Run(a, engine, ShutdownReason.Poweroff);
        Assert.Contains("so long", f.Domain.Log.Lines);
        Assert.Equal((uint.MaxValue, 0x00050014u, uint.MaxValue), (f.Get(0x40000), f.Get(0x40004), f.Get(0x40008)));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task TheApicTimerWakesAHaltedProcessor(EngineKind engine)
    {
        const uint gdt = 0x60000, gdtRegister = 0x61000, idt = 0x50000, idtRegister = 0x61010, handler = 0x70000, farReturn = 0x70100;
        var a = new Assembler(32);
        a.mov(esp, 0x30000);
        a.lgdt(__[gdtRegister]);
        a.lidt(__[idtRegister]);
        a.mov(eax, farReturn);
        a.push(8);
        a.call(eax); // comes back with CS 8
        a.mov(eax, 0x10);
        a.mov(ss, eax);
        a.mov(__dword_ptr[0xFEE000F0], 0x1FF);
        a.mov(__dword_ptr[0xFEE00320], 0x40);
        a.mov(__dword_ptr[0xFEE003E0], 0xB);
        a.mov(__dword_ptr[0xFEE00380], 100_000);
        a.sti();
        a.hlt();
        a.cli();
        a.hlt();
        var h = new Assembler(32);
        h.inc(__dword_ptr[0x40000]);
        h.mov(__dword_ptr[0xFEE000B0], 0);
        h.iretd();
        using HvmFixture f = await Run(a, engine, ShutdownReason.Poweroff, fixture =>
        {
            fixture.Put(gdt + 8, 0x0000FFFF);
            fixture.Put(gdt + 12, 0x00CF9B00);
            fixture.Put(gdt + 16, 0x0000FFFF);
            fixture.Put(gdt + 20, 0x00CF9300);
            fixture.Put(gdtRegister, 23 | ((gdt & 0xFFFF) << 16));
            fixture.Put(gdtRegister + 4, gdt >> 16);
            fixture.Put(idtRegister, 0x7FF | ((idt & 0xFFFF) << 16));
            fixture.Put(idtRegister + 4, idt >> 16);
            fixture.Put(idt + (0x40 * 8), (8 << 16) | (handler & 0xFFFF));
            fixture.Put(idt + (0x40 * 8) + 4, (handler & 0xFFFF0000) | 0x8E00);
            Assemble(h, handler).CopyTo(fixture.At(handler));
            fixture.At(farReturn)[0] = 0xCB;
        });
        Assert.Equal(1u, f.Get(0x40000));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task ASecondProcessorIsStartedInRealMode(EngineKind engine)
    {
        const uint trampoline = 0x8000, protectedCode = 0x70000, gdt = 0x60000, gdtRegister = 0x8100;
        var a = new Assembler(32);
        Label wait = a.CreateLabel();
        a.mov(__dword_ptr[0xFEE000F0], 0x1FF);
        a.mov(__dword_ptr[0xFEE00310], 2 << 24);
        a.mov(__dword_ptr[0xFEE00300], 0x4500);
        a.mov(__dword_ptr[0xFEE00300], 0x4600 | (trampoline >> 12));
        a.Label(ref wait);
        a.pause();
        a.cmp(__dword_ptr[0x40000], 0);
        a.je(wait);
        a.cli();
        a.hlt();
        var real = new Assembler(16);
        real.mov(ax, cs);
        real.mov(ds, ax);
        real.mov(__word_ptr[0x200], ax);
        real.db(0x66, 0x0F, 0x01, 0x16, 0x00, 0x01); // lgdtl [100h]
        real.mov(dx, 1);
        real.lmsw(dx);
        real.db(0x66, 0xEA, 0x00, 0x00, 0x07, 0x00, 0x08, 0x00); // jmpl 8:70000h
        var wide = new Assembler(32);
        wide.mov(eax, 0x10);
        wide.mov(ds, eax);
        wide.mov(__dword_ptr[0x40000], 1);
        wide.hlt();
        using HvmFixture f = await Run(a, engine, ShutdownReason.Poweroff, fixture =>
        {
            fixture.Put(gdt + 8, 0x0000FFFF);
            fixture.Put(gdt + 12, 0x00CF9B00);
            fixture.Put(gdt + 16, 0x0000FFFF);
            fixture.Put(gdt + 20, 0x00CF9300);
            fixture.Put(gdtRegister, 23 | ((gdt & 0xFFFF) << 16));
            fixture.Put(gdtRegister + 4, gdt >> 16);
            Assemble(real, 0).CopyTo(fixture.At(trampoline));
            Assemble(wide, protectedCode).CopyTo(fixture.At(protectedCode));
        }, vcpus: 2);
        Assert.Equal(0x800u, f.Get(trampoline + 0x200) & 0xFFFF);
    }

    [Fact]
    public async Task ATripleFaultCrashesTheDomain()
    {
        var a = new Assembler(32);
        a.ud2();
        using HvmFixture f = await Run(a, EngineKind.Interpreter, ShutdownReason.Crash);
        Assert.Contains("triple fault", f.Domain.CrashReport!.Reason, StringComparison.Ordinal);
    }

    private static byte[] Assemble(Assembler program, uint address)
    {
        using var stream = new MemoryStream();
        program.Assemble(new StreamCodeWriter(stream), address);
        return stream.ToArray();
    }

    private static async Task<HvmFixture> Run(Assembler program, EngineKind engine, ShutdownReason expected, Action<HvmFixture>? prepare = null, int vcpus = 1)
    {
        var f = new HvmFixture(Assemble(program, HvmFixture.Entry), vcpus, engine);
        prepare?.Invoke(f);
        f.Vcpu.Start();
        Assert.Equal(expected, await f.Domain.Stopped.WaitAsync(Limit));
        f.Domain.Vcpus.ForEach(vcpu => vcpu.Stop());
        return f;
    }
}
