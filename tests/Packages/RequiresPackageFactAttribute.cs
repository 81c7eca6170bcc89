namespace Dbt.Tests.Packages;

/// <summary>A fact that needs files of Debian packages, got with apt-get download and cached; says so where one can't be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresPackageFactAttribute : FactAttribute
{
    /// <param name="references">As package:NAME/PATH; see <see cref="DebianFiles"/>.</param>
    public RequiresPackageFactAttribute(params string[] references) =>
        Skip = references.Select(DebianFiles.WhyNot).FirstOrDefault(reason => reason is not null);
}
