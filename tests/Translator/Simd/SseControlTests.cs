using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Simd;

/// <summary>What CR0, CR4, MXCSR and alignment make of MMX and SSE instructions (SDM vol. 3, tables 2-3, 13-1, 24-4; vol. 2, 2.5).</summary>
public sealed unsafe class SseControlTests : IDisposable
{
    private const uint Start = 0x1000, Data = 0x10000;
    private const uint Em = 4, Ts = 8, Osfxsr = 1 << 9, Osxmmexcpt = 1 << 10;

    private static readonly Dictionary<string, Action<Assembler>> Instructions = new()
    {
        ["sse"] = a => a.addps(xmm0, xmm1),
        ["sse load"] = a => a.movaps(xmm0, __[ebx]),
        ["sse misaligned"] = a => a.movaps(xmm0, __[ebx + 4]),
        ["sse unaligned load"] = a => a.movups(xmm0, __[ebx + 4]),
        ["mmx"] = a => a.paddb(mm0, mm1),
        ["mmx of ssse3"] = a => a.pshufb(mm0, mm1),
        ["mixed"] = a => a.cvtpi2ps(xmm0, mm1),
        ["emms"] = a => a.emms(),
        ["x87"] = a => a.fld1(),
        ["ldmxcsr"] = a => a.ldmxcsr(__dword_ptr[ebx]),
        ["stmxcsr"] = a => a.stmxcsr(__dword_ptr[ebx + 16]),
        ["maskmovdqu"] = a => a.maskmovdqu(xmm0, xmm1),
        ["maskmovq"] = a => a.maskmovq(mm0, mm1),
        ["fxsave"] = a => a.fxsave(__[ebx + 0x100]),
        ["fxrstor"] = a => a.fxrstor(__[ebx + 0x400]),
        ["movnti"] = a => a.movnti(__dword_ptr[ebx], eax),
        ["crc32"] = a => a.crc32(eax, ebx),
        ["prefetch"] = a => a.prefetcht0(__byte_ptr[ebx]),
        ["sfence"] = a => a.sfence(),
        ["divide by zero"] = a => a.divps(xmm2, xmm3),
    };

    private readonly TestPlatform _machine = new();

    public SseControlTests()
    {
        _machine.Cpu->Gpr[(int)Gpr.Ebx] = Data;
        _machine.Cpu->Gpr[(int)Gpr.Edi] = Data;
        *(uint*)((byte*)&_machine.Cpu->Fx + 24) = 0x1F80;
        _machine.Write32(Data, 0x1F80);
        _machine.Write32(Data + 0x400 + 24, 0x1F80);
    }

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(0, Osfxsr | Osxmmexcpt, "", "sse;sse load;sse unaligned load;mmx;mmx of ssse3;mixed;emms;x87;ldmxcsr;stmxcsr;maskmovdqu;maskmovq;fxsave;fxrstor;movnti;crc32;prefetch;sfence")]
    [InlineData(0, 0u, "#UD", "sse;sse load;sse misaligned;mixed;ldmxcsr;stmxcsr;maskmovdqu")]
    [InlineData(0, 0u, "", "mmx;mmx of ssse3;emms;x87;maskmovq;fxsave;fxrstor;movnti;crc32;prefetch;sfence")]
    [InlineData(Em, Osfxsr, "#UD", "sse;sse load;mmx;mmx of ssse3;mixed;emms;ldmxcsr;stmxcsr;maskmovdqu;maskmovq")]
    [InlineData(Em, Osfxsr, "#NM", "x87;fxsave;fxrstor")]
    [InlineData(Em, Osfxsr, "", "movnti;crc32;prefetch;sfence")]
    [InlineData(Ts, Osfxsr, "#NM", "sse;sse load;sse misaligned;mmx;mmx of ssse3;mixed;emms;x87;ldmxcsr;stmxcsr;maskmovdqu;maskmovq;fxsave;fxrstor")]
    [InlineData(Ts, Osfxsr, "", "movnti;crc32;prefetch;sfence")]
    [InlineData(Ts, 0u, "#UD", "sse;mixed;ldmxcsr")]
    [InlineData(Em | Ts, Osfxsr, "#UD", "sse;mmx")]
    [InlineData(0, Osfxsr, "#GP", "sse misaligned")]
    public void ControlRegistersDecide(uint cr0, uint cr4, string fault, string names)
    {
        foreach (string name in names.Split(';'))
        {
            Assert.True(fault == Run(cr0, cr4, name), name);
        }
    }

    [Theory]
    [InlineData(Osfxsr | Osxmmexcpt, "#XM")]
    [InlineData(Osfxsr, "#UD")]
    public void AnUnmaskedExceptionNeedsItsBitInCr4(uint cr4, string fault)
    {
        var fx = (byte*)&_machine.Cpu->Fx;
        *(uint*)(fx + 24) = 0x1F80 & ~0x200u;
        for (int i = 0; i < 4; i++)
        {
            ((float*)(fx + 160 + 32))[i] = 1;
            ((float*)(fx + 160 + 48))[i] = 0;
        }

        Assert.Equal(fault, Run(0, cr4, "divide by zero"));
        Assert.Equal(0x1D84u, *(uint*)(fx + 24));
    }

    [Theory]
    [InlineData(0x1F80u, "")]
    [InlineData(0xFFFFu, "")]
    [InlineData(0x11F80u, "#GP")]
    [InlineData(0x80001F80u, "#GP")]
    public void ReservedBitsOfMxcsrAreRefused(uint value, string fault)
    {
        _machine.Write32(Data, value);
        _machine.Write32(Data + 0x400 + 24, value);
        Assert.Equal(fault, Run(0, Osfxsr, "ldmxcsr"));
        Assert.Equal(fault == "" ? value : 0x1F80u, *(uint*)((byte*)&_machine.Cpu->Fx + 24));
        *(uint*)((byte*)&_machine.Cpu->Fx + 24) = 0x1F80;
        Assert.Equal(fault, Run(0, Osfxsr, "fxrstor"));
        Assert.Equal(fault == "" ? value : 0x1F80u, *(uint*)((byte*)&_machine.Cpu->Fx + 24));
    }

    private string Run(uint cr0, uint cr4, string name)
    {
        var assembler = new Assembler(32);
        Instructions[name](assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), Start);
        _machine.Write(Start, stream.ToArray());
        CpuState* cpu = _machine.Cpu;
        cpu->Cr0 = (cpu->Cr0 & ~(Em | Ts)) | cr0;
        cpu->Cr4 = cr4;
        cpu->Eip = Start;
        cpu->RefreshMode();
        using var interpreter = new Interpreter(_machine);
        return interpreter.ExecuteOne(cpu) == Outcome.Completed ? "" : cpu->Fault.Vector switch
        {
            Vector.InvalidOpcode => "#UD",
            Vector.DeviceNotAvailable => "#NM",
            Vector.GeneralProtection => "#GP",
            Vector.Simd => "#XM",
            var other => other.ToString(),
        };
    }
}
