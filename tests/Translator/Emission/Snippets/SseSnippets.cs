using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>SSE and SSE2, scalar and packed; all in every x86-64.</summary>
internal static class SseSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("movaps xmm,xmm", a => a.movaps(xmm0, xmm1)),
        new("movups xmm,m128", a => a.movups(xmm0, __xmmword_ptr[esi])),
        new("movdqa m128,xmm", a => a.movdqa(__xmmword_ptr[esi], xmm0)),
        new("movsd xmm,m64", a => a.movsd(xmm0, __qword_ptr[esi])),
        new("movd r32,xmm", a => a.movd(eax, xmm0)),
        new("pxor xmm,xmm same", a => a.pxor(xmm0, xmm0)),
        new("paddd xmm,m128", a => a.paddd(xmm0, __xmmword_ptr[esi])),
        new("pshufd xmm,xmm,imm", a => a.pshufd(xmm0, xmm1, 0x1B)),
        new("pcmpeqb, pmovmskb, test, jne", a =>
        {
            Label end = a.CreateLabel();
            a.pcmpeqb(xmm0, xmm1);
            a.pmovmskb(eax, xmm0);
            a.test(eax, eax);
            a.jne(end);
            a.inc(ecx);
            a.Label(ref end);
        }),
        new("addsd xmm,xmm", a => a.addsd(xmm0, xmm1)),
        new("mulsd xmm,m64", a => a.mulsd(xmm0, __qword_ptr[esi])),
        new("addps xmm,xmm", a => a.addps(xmm0, xmm1)),
        new("divpd xmm,m128", a => a.divpd(xmm0, __xmmword_ptr[esi])),
        new("sqrtss xmm,xmm", a => a.sqrtss(xmm0, xmm1)),
        new("cvtsi2sd, cvttsd2si", a =>
        {
            a.cvtsi2sd(xmm0, eax);
            a.cvttsd2si(ecx, xmm0);
        }),
        new("ucomisd, jbe", a =>
        {
            Label end = a.CreateLabel();
            a.ucomisd(xmm0, xmm1);
            a.jbe(end);
            a.inc(eax);
            a.Label(ref end);
        }),
        new("daxpy's loop", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.movsd(xmm1, __qword_ptr[esi + (ecx * 8)]);
            a.mulsd(xmm1, xmm0);
            a.addsd(xmm1, __qword_ptr[edi + (ecx * 8)]);
            a.movsd(__qword_ptr[edi + (ecx * 8)], xmm1);
            a.dec(ecx);
            a.jne(next);
        }),
        new("saxpy's loop, packed", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.movaps(xmm1, __xmmword_ptr[esi]);
            a.mulps(xmm1, xmm0);
            a.addps(xmm1, __xmmword_ptr[edi]);
            a.movaps(__xmmword_ptr[edi], xmm1);
            a.add(esi, 16);
            a.add(edi, 16);
            a.dec(ecx);
            a.jne(next);
        }),
        new("stmxcsr, ldmxcsr", a =>
        {
            a.stmxcsr(__dword_ptr[esi]);
            a.ldmxcsr(__dword_ptr[esi + 4]);
        }),
        new("fxsave: the interpreter's", a => a.fxsave(__[esi])),
    ];
}
