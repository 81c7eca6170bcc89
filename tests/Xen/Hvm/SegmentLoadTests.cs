using Dbt.Translator;
using Dbt.Xen;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>
/// A ring-0 loop that loads DS, ES, FS and GS with all that a kernel loads and more: flat and based segments, null selectors, segments with a limit, descriptors that change and whose accessed bit
/// is clear. The interpreter, which is checked against other processors, says what comes out.
/// </summary>
public sealed class SegmentLoadTests
{
    private const uint Table = 0x30100, Pointer = 0x30000, Result = 0x30800, Turns = 40_000;
    private const int Flat = 8, FlatUser = 0x13, Based = 0x18, Moving = 0x20, Limited = 0x28, BasedUser = 0x33, Unused = 0x38;

    [Theory]
    [InlineData(EngineKind.Quick)]
    [InlineData(EngineKind.Optimized)]
    [InlineData(EngineKind.Tiered)]
    public async Task TranslatedLoadsGiveWhatTheInterpreterGives(EngineKind engine)
    {
        (uint[] expected, _) = await RunAsync(EngineKind.Interpreter);
        (uint[] words, EngineStatistics statistics) = await RunAsync(engine);
        Assert.Equal(expected, words);
        Assert.NotEqual(0u, words[0]);
        if (engine == EngineKind.Optimized)
        {
            // Three of them a turn: a limit, a descriptor that wasn't used, and GS before the kernel is known to use it.
            Assert.InRange(statistics.SideExits.GetValueOrDefault("rare"), Turns, 4 * Turns);
            Assert.InRange(statistics.SideExits.GetValueOrDefault("untranslated:mov") + statistics.SideExits.GetValueOrDefault("untranslated:pop"), 0, Turns / 100);
        }
    }

    private static async Task<(uint[] Words, EngineStatistics Statistics)> RunAsync(EngineKind engine)
    {
        using var guest = new HvmFixture(Code(), engine: engine);
        ulong[] descriptors =
        [
            0, 0x00CF_9300_0000_FFFF, 0x00CF_F300_0000_FFFF, 0x00CF_9304_0000_FFFF, 0x00CF_9305_0000_FFFF, 0x0040_9306_0000_0FFF, 0x00CF_F307_0000_FFFF,
            0x00CF_9200_0000_FFFF,
        ];
        guest.Put(Pointer, (uint)((descriptors.Length * 8) - 1) | ((Table & 0xFFFF) << 16));
        guest.Put(Pointer + 4, Table >> 16);
        for (int i = 0; i < descriptors.Length; i++)
        {
            BitConverter.TryWriteBytes(guest.At(Table + ((uint)i * 8)), descriptors[i]);
        }

        for (uint place = 0x40000; place < 0x80000; place += 16)
        {
            guest.Put(place, place * 2654435761u);
        }

        guest.Vcpu.Start();
        ShutdownReason reason = await guest.Domain.Stopped.WaitAsync(TimeSpan.FromMinutes(2));
        Assert.True(reason == ShutdownReason.Poweroff, guest.Domain.CrashReport?.Text);
        guest.Vcpu.Stop();
        return ([.. Enumerable.Range(0, 7).Select(i => guest.Get(Result + ((uint)i * 4)))], guest.Vcpu.EngineStatistics!);
    }

    private static byte[] Code()
    {
        var a = new Assembler(32);
        Label again = a.CreateLabel();
        a.mov(esp, 0x28000);
        a.lgdt(__[Pointer]);
        a.mov(ecx, Turns);
        a.xor(ebx, ebx);
        a.Label(ref again);

        // As a system call does.
        a.mov(eax, FlatUser);
        a.mov(ds, eax);
        a.mov(es, ax);
        a.mov(eax, Based);
        a.mov(fs, eax);
        a.add(ebx, __dword_ptr.fs[0x10]);
        a.push(Moving);
        a.pop(fs);
        a.add(ebx, __dword_ptr.fs[0x20]);
        a.push(fs);
        a.pop(edx);
        a.add(ebx, edx);

        // Its base is another next time.
        a.add(__word_ptr[Table + Moving + 2], 16);
        a.xor(eax, eax);
        a.mov(fs, eax);
        a.mov(eax, 3);
        a.mov(fs, eax);
        a.mov(edx, fs);
        a.add(ebx, edx);
        a.mov(eax, Limited);
        a.mov(fs, eax);
        a.add(ebx, __dword_ptr.fs[0x30]);
        a.push(0);
        a.pop(fs);
        a.mov(eax, BasedUser);
        a.mov(gs, eax);
        a.add(ebx, __dword_ptr.gs[0x40]);
        a.push(0);
        a.pop(gs);

        // The load says that it was used.
        a.and(__byte_ptr[Table + Unused + 5], 0xFE);
        a.mov(__word_ptr[Result + 0x40], Unused);
        a.mov(es, __word_ptr[Result + 0x40]);
        a.movzx(edx, __byte_ptr[Table + Unused + 5]);
        a.add(ebx, edx);
        a.push(Flat);
        a.pop(ds);
        a.push(ds);
        a.pop(es);
        a.rol(ebx, 1);
        a.dec(ecx);
        a.jnz(again);
        a.mov(__dword_ptr[Result], ebx);
        a.mov(__dword_ptr[Result + 4], esp);
        AssemblerRegisterSegment[] segments = [ds, es, fs, gs, ss];
        for (int i = 0; i < segments.Length; i++)
        {
            a.mov(eax, segments[i]);
            a.mov(__dword_ptr[Result + 8 + ((uint)i * 4)], eax);
        }

        a.cli();
        a.hlt();
        using var code = new MemoryStream();
        a.Assemble(new StreamCodeWriter(code), HvmFixture.Entry);
        return code.ToArray();
    }
}
